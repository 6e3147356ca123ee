#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace stepdown::local::api {

/// A compiled pattern of a schema (RE2's syntax, read by PCRE2 with bounded backtracking). Cheap to copy.
class Regex {
 public:
  /// Throws ApiError 400 when the pattern does not compile.
  explicit Regex(std::string_view pattern);
  /// Whether the pattern occurs in `text`.
  bool search(std::string_view text) const;

 private:
  std::shared_ptr<const void> code_;
};

}  // namespace stepdown::local::api
