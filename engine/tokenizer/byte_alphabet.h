#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stepdown::tokenizer {

/// GPT-2's visible alphabet: every byte has a printable code point of its own, so that vocabularies are plain
/// text. Printable Latin-1 stands for itself, the other 68 bytes are U+0100 onwards in order ("Ġ" is the
/// space).
std::string to_visible(std::string_view bytes);
/// nullopt when a character is outside the alphabet.
std::optional<std::string> from_visible(std::string_view visible);

}  // namespace stepdown::tokenizer
