#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/fetch/url.h"

/// HTTP as fetching needs it: TLS always verified, redirects followed by rules of our own, every length
/// bounded.
namespace stepdown::fetch {

/// The server could not be reached, or went silent: worth another try.
class NetworkError : public Error {
 public:
  using Error::Error;
};

/// A certificate that is not trusted: no try will help.
class CertificateError : public InputError {
 public:
  using InputError::InputError;
};

struct HttpRequest {
  std::string method = "GET";
  Url url;
  std::map<std::string, std::string> headers;  ///< Authorization goes to the URL's own origin alone
  std::string body;
  std::string content_type;
  bool follow = true;  ///< redirects of GET
};

struct HttpAnswer {
  int status = 0;
  std::multimap<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  Url url;  ///< that answered, after redirects

  /// The first of that name (in lower case); empty where there is none.
  std::string header(const std::string& name) const;
  std::optional<std::uint64_t> length() const;
};

struct HttpSettings {
  std::string ca_file;  ///< PEM, in place of the system's roots
  std::chrono::seconds connect_timeout{15};
  std::chrono::seconds silence{60};  ///< after which a server that sends next to nothing counts as lost
  std::string user_agent;
};

/// Safe from any thread.
class Http {
 public:
  explicit Http(HttpSettings settings);

  /// The whole answer, whose body may have `limit` bytes. Throws NetworkError, CertificateError, and Error
  /// where it is longer.
  HttpAnswer ask(const HttpRequest& request, std::size_t limit) const;

  /// Answers 200 and 206 are handed to `head`, and then their bodies, piece by piece, to `sink`; either ends
  /// the transfer by false. Bodies of other answers are kept, 64 KB of them.
  HttpAnswer stream(const HttpRequest& request, const std::function<bool(const HttpAnswer&)>& head,
                    const std::function<bool(std::string_view)>& sink) const;

 private:
  HttpAnswer follow(HttpRequest request, std::size_t limit,
                    const std::function<bool(const HttpAnswer&)>& head,
                    const std::function<bool(std::string_view)>& sink) const;
  HttpAnswer send(const HttpRequest& request, std::size_t limit,
                  const std::function<bool(const HttpAnswer&)>& head,
                  const std::function<bool(std::string_view)>& sink) const;

  HttpSettings settings_;
};

/// Whether another try may get another answer.
bool passes(int status);

}  // namespace stepdown::fetch
