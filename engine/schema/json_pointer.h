#pragma once

#include <string>
#include <string_view>

namespace stepdown::schema {

/// A name as it stands in a JSON pointer (RFC 6901, section 3).
inline std::string escape_pointer(std::string_view key) {
  std::string out;
  for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

/// A pointer within a reference, which is a part of a URI and may hold %XX.
inline std::string escape_percent(std::string_view pointer) {
  std::string out;
  for (const char c : pointer) out += c == '%' ? "%25" : std::string(1, c);
  return out;
}

}  // namespace stepdown::schema
