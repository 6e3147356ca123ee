#include "operator/local/api/formats.h"

#include <algorithm>
#include <map>
#include <string>

#include <arpa/inet.h>

#include "operator/local/api/regex.h"

namespace stepdown::local::api {
namespace {

bool matches(std::string_view text, std::string_view pattern) {
  return Regex(pattern).search(text);
}

constexpr std::string_view kQualifiedPart = "^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$";

bool lower_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_address(std::string_view text, int family) {
  unsigned char bytes[16];
  return inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

const std::map<std::string_view, std::string_view> kPatterns = {
    {"date-time",
     "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\."
     "[0-9]+)?"
     "([Zz]|[+-][0-9]{2}:[0-9]{2})$"},
    {"date", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"},
    {"duration", "^([0-9]+(\\.[0-9]+)?\\s*(ns|us|µs|ms|s|m|h|d|w)\\s*)+$|^0$"},
    {"uuid", "^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$"},
    {"byte", "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"},
    {"hostname",
     "^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(\\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*$"},
    {"email", "^[^@\\s]+@[^@\\s]+$"},
    {"uri", "^[A-Za-z][A-Za-z0-9+.-]*:\\S*$"},
};

}  // namespace

bool has_format(std::string_view text, std::string_view format) {
  if (format == "ipv4") return is_address(text, AF_INET);
  if (format == "ipv6") return is_address(text, AF_INET6);
  const auto it = kPatterns.find(format);
  return it == kPatterns.end() || matches(text, it->second);
}

bool is_dns_label(std::string_view text) {
  if (text.empty() || text.size() > 63 || !lower_alnum(text.front()) || !lower_alnum(text.back()))
    return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return lower_alnum(c) || c == '-'; });
}

bool is_dns_subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    const std::size_t dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    if (part.empty() || !lower_alnum(part.front()) || !lower_alnum(part.back())) return false;
    if (!std::all_of(part.begin(), part.end(), [](char c) { return lower_alnum(c) || c == '-'; }))
      return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_qualified_name(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    if (!is_dns_subdomain(text.substr(0, slash))) return false;
    text.remove_prefix(slash + 1);
  }
  return text.size() <= 63 && matches(text, kQualifiedPart);
}

bool is_label_value(std::string_view text) {
  return text.empty() || (text.size() <= 63 && matches(text, kQualifiedPart));
}

}  // namespace stepdown::local::api
