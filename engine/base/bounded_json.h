#pragma once

#include <exception>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace stepdown {

/// Whether brackets nest deeper than 200 levels: what is built of such a text would be walked recursively.
bool nests_too_deeply(std::string_view text);

/// The JSON value of a text from outside; discarded when it is none, or nests too deeply.
nlohmann::ordered_json parse_bounded(std::string_view text);

/// Throws InputError that names the first byte of a line of a file that is no UTF-8.
void refuse_unless_utf8(std::string_view line, const std::string& where);
/// Throws InputError that says why parse_bounded(line) gave no object, by the byte. `shape`: what to write.
[[noreturn]] void refuse_line(std::string_view line, const std::string& where, const std::string& shape);

/// What an error of the JSON library says, without its mark, "[json.exception.type_error.302] ".
std::string plain_words(const std::exception& error);

/// A member of an object; null counts as absent, as OpenAI's clients send it.
const nlohmann::ordered_json* member(const nlohmann::ordered_json& object, const char* name);

}  // namespace stepdown
