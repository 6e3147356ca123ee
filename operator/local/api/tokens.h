#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stepdown::local::api {

/// ServiceAccount tokens: JWTs signed with the server's own key (HS256, RFC 7519).
class Tokens {
 public:
  explicit Tokens(std::string key) : key_(std::move(key)) {}

  struct Account {
    std::string space, name, uid;
  };
  std::string mint(const Account& account, long long lifetime_seconds) const;
  /// nullopt unless the token is ours and in time.
  std::optional<Account> verify(std::string_view token) const;

 private:
  std::string key_;
};

}  // namespace stepdown::local::api
