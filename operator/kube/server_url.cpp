#include "operator/kube/server_url.h"

#include <charconv>

#include "engine/base/error.h"

namespace stepdown::kube {
namespace {

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

int parse_port(std::string_view text, std::string_view url) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65535) {
    throw InputError("the server's port is no number from 1 to 65535", std::string(url));
  }
  return port;
}

}  // namespace

ServerUrl parse_server_url(std::string_view url) {
  ServerUrl parts;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    parts.tls = false;
    parts.port = 80;
  } else {
    throw InputError("the server must start with https://", std::string(url));
  }
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  parts.prefix = std::string(rest.substr(slash));
  while (parts.prefix.ends_with('/')) parts.prefix.pop_back();
  std::string_view authority = rest.substr(0, slash);
  if (authority.find_first_of("@?#") != std::string_view::npos) {
    throw InputError("the server may hold no user, query or fragment", std::string(url));
  }
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) throw InputError("the server's address lacks ']'", std::string(url));
    parts.host = std::string(authority.substr(1, close - 1));
    authority.remove_prefix(close + 1);
  } else {
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    parts.host = std::string(authority.substr(0, colon));
    authority.remove_prefix(colon);
  }
  if (authority.starts_with(':')) {
    parts.port = parse_port(authority.substr(1), url);
  } else if (!authority.empty()) {
    throw InputError("the server's address is malformed", std::string(url));
  }
  if (parts.host.empty()) throw InputError("the server has no host", std::string(url));
  if (!parts.tls && !is_loopback(parts.host)) {
    throw InputError("plain http is refused but for loopback addresses", std::string(url), "use https://");
  }
  return parts;
}

}  // namespace stepdown::kube
