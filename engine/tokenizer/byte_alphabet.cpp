#include "engine/tokenizer/byte_alphabet.h"

#include <array>

#include "engine/base/utf8.h"

namespace stepdown::tokenizer {
namespace {

constexpr char32_t kLargest = 0x100 + 68;  // one past the last code point used

struct Alphabet {
  std::array<char32_t, 256> code_point{};
  std::array<int, kLargest> byte{};
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (int& byte : alphabet.byte) byte = -1;
  char32_t next = 0x100;
  for (char32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
    const char32_t code_point = printable ? b : next++;
    alphabet.code_point[b] = code_point;
    alphabet.byte[code_point] = static_cast<int>(b);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string to_visible(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const char32_t code_point = kAlphabet.code_point[static_cast<unsigned char>(c)];
    if (code_point < 0x80) {
      text += static_cast<char>(code_point);
    } else {  // all of the alphabet is below U+0800
      text += static_cast<char>(0xc0u | (code_point >> 6));
      text += static_cast<char>(0x80u | (code_point & 0x3fu));
    }
  }
  return text;
}

std::optional<std::string> from_visible(std::string_view visible) {
  std::string bytes;
  while (!visible.empty()) {
    const CodePoint next = decode_utf8(visible);
    if (next.length == 0 || next.value >= kLargest || kAlphabet.byte[next.value] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte[next.value]);
    visible.remove_prefix(next.length);
  }
  return bytes;
}

}  // namespace stepdown::tokenizer
