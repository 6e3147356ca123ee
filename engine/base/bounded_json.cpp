#include "engine/base/bounded_json.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/json_nesting.h"
#include "engine/base/utf8.h"

namespace stepdown {

bool nests_too_deeply(std::string_view text) {
  constexpr int kDeepest = 200;
  return nests_deeper(text, kDeepest);
}

nlohmann::ordered_json parse_bounded(std::string_view text) {
  if (nests_too_deeply(text)) return nlohmann::ordered_json(nlohmann::ordered_json::value_t::discarded);
  return nlohmann::ordered_json::parse(text, nullptr, false);
}

void refuse_unless_utf8(std::string_view line, const std::string& where) {
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t length = decode_utf8(line.substr(at)).length;
    if (length == 0)
      throw InputError("byte " + std::to_string(at + 1) + " of the line is no UTF-8", where,
                       "save the file as UTF-8 (iconv -t UTF-8)");
    at += length;
  }
}

void refuse_line(std::string_view line, const std::string& where, const std::string& shape) {
  refuse_unless_utf8(line, where);
  if (nests_too_deeply(line)) throw InputError("not a JSON object: brackets nest too deeply", where, shape);
  try {
    [[maybe_unused]] const auto value = nlohmann::ordered_json::parse(line);
  } catch (const nlohmann::json::parse_error& error) {
    throw InputError("not a JSON object: byte " + std::to_string(error.byte) + " of the line is wrong", where,
                     shape);
  } catch (const nlohmann::json::exception& error) {  // a number that no double holds
    throw InputError("not a JSON object: " + plain_words(error), where, shape);
  }
  throw InputError("not a JSON object", where, shape);
}

std::string plain_words(const std::exception& error) {
  const std::string text = error.what();
  const auto mark = text.find("] ");
  return text.starts_with('[') && mark != std::string::npos ? text.substr(mark + 2) : text;
}

const nlohmann::ordered_json* member(const nlohmann::ordered_json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace stepdown
