#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stepdown::fetch {

/// An http or https URL, in the parts that a request needs.
struct Url {
  bool tls = true;
  std::string host;  ///< lower case; an IPv6 address without its brackets
  int port = 443;
  std::string target = "/";  ///< path and query, as they go on the wire

  /// "https://host:port", the port where it is not the scheme's own.
  std::string origin() const;
  /// What the Host header says.
  std::string authority() const;
  std::string text() const { return origin() + target; }
  bool same_origin(const Url& other) const;

  bool operator==(const Url&) const = default;
};

/// nullopt: not an http(s) URL, or one with a user name or control characters in it.
std::optional<Url> parse_url(std::string_view text);

/// Throws InputError that names `what`.
Url url_of(std::string_view text, const std::string& what);

/// What a Location or Link header means beside the URL that answered: absolute, or a path on the same host.
std::optional<Url> resolve(const Url& base, std::string_view reference);

/// Everything but unreserved characters (RFC 3986), and '/' where `keep_slashes`, as %XX.
std::string percent_encode(std::string_view text, bool keep_slashes = false);

}  // namespace stepdown::fetch
