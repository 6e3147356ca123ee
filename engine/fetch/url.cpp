#include "engine/fetch/url.h"

#include <algorithm>
#include <cctype>

#include "engine/base/error.h"

namespace stepdown::fetch {
namespace {

constexpr std::size_t kLongest = 16 << 10;  // signed URLs of object stores take 2 KB
constexpr int kHighestPort = 65535;

bool visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// "host", "host:port" or "[address]:port" into `url`.
bool read_authority(std::string_view text, Url& url) {
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return false;
    url.host = lower(text.substr(1, end - 1));
    if (url.host.find_first_not_of("0123456789abcdef:.") != std::string::npos) return false;
    port = text.substr(end + 1);
  } else {
    const auto colon = text.find(':');
    url.host = lower(text.substr(0, colon));
    if (url.host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._") != std::string::npos)
      return false;
    port = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
  }
  if (url.host.empty()) return false;
  if (port.empty()) return true;
  port.remove_prefix(1);
  constexpr std::size_t kDigits = 5;
  if (port.empty() || port.size() > kDigits || port.find_first_not_of("0123456789") != std::string_view::npos)
    return false;
  url.port = std::stoi(std::string(port));
  return url.port > 0 && url.port <= kHighestPort;
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? 443 : 80) ? name : name + ":" + std::to_string(port);
}

std::string Url::origin() const {
  return (tls ? "https://" : "http://") + authority();
}

bool Url::same_origin(const Url& other) const {
  return tls == other.tls && host == other.host && port == other.port;
}

std::optional<Url> parse_url(std::string_view text) {
  constexpr std::string_view kTls = "https://", kPlain = "http://";
  if (text.size() > kLongest || !visible(text)) return std::nullopt;
  Url url;
  const std::string scheme = lower(text.substr(0, kTls.size()));
  if (scheme.starts_with(kTls)) {
    text.remove_prefix(kTls.size());
  } else if (scheme.starts_with(kPlain)) {
    url.tls = false;
    url.port = 80;
    text.remove_prefix(kPlain.size());
  } else {
    return std::nullopt;
  }
  text = text.substr(0, text.find('#'));
  const auto end = std::min(text.find_first_of("/?"), text.size());
  if (!read_authority(text.substr(0, end), url)) return std::nullopt;
  const std::string_view target = text.substr(end);
  url.target = (target.starts_with('/') ? "" : "/") + std::string(target);
  return url;
}

Url url_of(std::string_view text, const std::string& what) {
  const auto url = parse_url(text);
  if (!url) throw InputError("not an http or https URL: " + std::string(text.substr(0, 200)), what);
  return *url;
}

std::optional<Url> resolve(const Url& base, std::string_view reference) {
  if (reference.starts_with("//")) {
    return parse_url((base.tls ? "https:" : "http:") + std::string(reference));
  }
  if (reference.starts_with('/')) return parse_url(base.origin() + std::string(reference));
  return parse_url(reference);
}

std::string percent_encode(std::string_view text, bool keep_slashes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || c == '~' ||
        (keep_slashes && c == '/')) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
  }
  return out;
}

}  // namespace stepdown::fetch
