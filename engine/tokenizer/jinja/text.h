#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::tokenizer::jinja {

// Python's string operations. Case changes are ASCII's: templates apply them to roles and keywords.

inline constexpr std::string_view kWhitespace = " \t\n\r\f\v";

std::string strip(std::string_view text, std::string_view chars, bool left = true, bool right = true);
std::string lower(std::string text);
std::string upper(std::string text);
std::string capitalize(std::string text);
std::string title(std::string text);
/// `count` < 0 replaces all. Throws InputError when the result grows beyond what templates may build.
std::string replace_text(std::string_view text, std::string_view from, std::string_view to,
                         std::int64_t count);
/// Python's str.split: an empty separator means runs of whitespace; `limit` < 0 is none.
std::vector<std::string> split(std::string_view text, std::string_view separator, std::int64_t limit);
std::size_t count_code_points(std::string_view text);

}  // namespace stepdown::tokenizer::jinja
