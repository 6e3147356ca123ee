#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace stepdown::schema {

/// Thompson's construction over UTF-8 bytes: edges carry byte ranges; empty edges carry none.
struct RegexNfa {
  struct Edge {
    std::int32_t from, to;
    std::uint8_t low, high;
  };
  std::int32_t states = 0;
  std::int32_t start = 0;
  std::int32_t accept = 0;
  std::vector<Edge> edges;
  std::vector<std::pair<std::int32_t, std::int32_t>> empty;
};

/// Throws InputError when the regex is malformed, uses what is not supported, or grows too large.
RegexNfa parse_regex(std::string_view regex);
/// The same for a regex that the whole text must match: anchors at its ends say what is meant anyway.
RegexNfa parse_whole_regex(std::string_view regex);

}  // namespace stepdown::schema
