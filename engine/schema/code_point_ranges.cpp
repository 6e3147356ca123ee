#include "engine/schema/code_point_ranges.h"

#include <algorithm>
#include <array>

namespace stepdown::schema {
namespace {

/// Splits a range of code points of equal length into runs whose bytes vary independently from some byte on.
void add_bytes(RegexNfa& nfa, std::int32_t from, std::int32_t to, char32_t low, char32_t high, int length) {
  for (int i = 1; i < length; ++i) {
    const char32_t mask = (char32_t{1} << (6 * i)) - 1;
    if ((low & ~mask) == (high & ~mask)) continue;
    if ((low & mask) != 0) {
      add_bytes(nfa, from, to, low, low | mask, length);
      add_bytes(nfa, from, to, (low | mask) + 1, high, length);
      return;
    }
    if ((high & mask) != mask) {
      add_bytes(nfa, from, to, low, (high & ~mask) - 1, length);
      add_bytes(nfa, from, to, high & ~mask, high, length);
      return;
    }
  }
  constexpr std::array<unsigned, 5> kLead = {0, 0, 0xc0, 0xe0, 0xf0};
  for (int i = length - 1; i >= 0; --i) {
    const std::int32_t next = i == 0 ? to : nfa.states++;
    const unsigned lead = i == length - 1 ? kLead[static_cast<std::size_t>(length)] : 0x80;
    const unsigned mask = i == length - 1 ? 0xff : 0x3f;
    nfa.edges.push_back({from, next, static_cast<std::uint8_t>(lead | ((low >> (6 * i)) & mask)),
                         static_cast<std::uint8_t>(lead | ((high >> (6 * i)) & mask))});
    from = next;
  }
}

}  // namespace

CodePointRanges complement(CodePointRanges ranges) {
  std::ranges::sort(ranges);
  CodePointRanges rest;
  char32_t next = 0;
  for (const auto& [low, high] : ranges) {
    if (low > next) rest.emplace_back(next, low - 1);
    next = std::max<char32_t>(next, high + 1);
  }
  if (next <= kLastCodePoint) rest.emplace_back(next, kLastCodePoint);
  return rest;
}

void add_code_points(RegexNfa& nfa, std::int32_t from, std::int32_t to, const CodePointRanges& ranges) {
  constexpr std::array<CodePointRange, 5> kLengths = {
      {{0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, kLastCodePoint}}};
  for (const auto& [low, high] : ranges) {
    for (const auto& [first, last] : kLengths) {
      const char32_t begin = std::max(low, first);
      const char32_t end = std::min(high, last);
      if (begin <= end)
        add_bytes(nfa, from, to, begin, end, last <= 0x7f ? 1 : last <= 0x7ff ? 2 : last <= 0xffff ? 3 : 4);
    }
  }
}

}  // namespace stepdown::schema
