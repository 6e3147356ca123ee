#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/schema/regex_nfa.h"

namespace stepdown::schema {

using CodePointRange = std::pair<char32_t, char32_t>;  ///< first and last
using CodePointRanges = std::vector<CodePointRange>;
inline constexpr char32_t kLastCodePoint = 0x10ffff;

/// All other code points.
CodePointRanges complement(CodePointRanges ranges);
/// Adds edges from `from` to `to` that read one code point of the ranges as UTF-8, and the states between.
void add_code_points(RegexNfa& nfa, std::int32_t from, std::int32_t to, const CodePointRanges& ranges);

}  // namespace stepdown::schema
