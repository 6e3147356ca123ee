#include "engine/base/printable.h"

#include <array>
#include <cstdio>

#include "engine/base/utf8.h"

namespace stepdown {
namespace {

bool is_control(char32_t character) {
  return character < ' ' || character == 0x7f;
}

/// C1 controls, marks of direction, separators of lines, the mark of byte order.
bool steers(char32_t character) {
  return (character >= 0x80 && character < 0xa0) || character == 0x61c ||
         (character >= 0x200e && character <= 0x200f) || (character >= 0x2028 && character <= 0x202e) ||
         (character >= 0x2066 && character <= 0x2069) || character == 0xfeff;
}

template <typename... Values>
std::string formatted(const char* format, Values... values) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

/// Where a character begins, at `at` or before it.
std::size_t character_at(std::string_view text, std::size_t at) {
  for (int back = 0; back < 3 && at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0u) == 0x80u; ++back)
    --at;
  return at;
}

std::string escaped(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const CodePoint next = decode_utf8(text);
    const std::size_t length = next.length == 0 ? 1 : next.length;
    if (next.length == 0) {
      shown += formatted("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(text.front())));
    } else if (is_control(next.value)) {
      shown += ' ';
    } else if (steers(next.value)) {
      shown += formatted("\\u%04x", static_cast<unsigned>(next.value));
    } else {
      shown += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return shown;
}

}  // namespace

std::string printable(std::string_view text, std::size_t most) {
  if (text.size() <= most) return escaped(text);
  const std::size_t head = character_at(text, most / 2);
  const std::size_t tail = character_at(text, text.size() - most / 2);
  return escaped(text.substr(0, head)) + formatted(" … (%zu bytes) … ", tail - head) +
         escaped(text.substr(tail));
}

}  // namespace stepdown
