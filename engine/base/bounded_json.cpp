#include "engine/base/bounded_json.h"

#include <nlohmann/json.hpp>

#include "engine/base/json_nesting.h"

namespace stepdown {

bool nests_too_deeply(std::string_view text) {
  constexpr int kDeepest = 200;
  return nests_deeper(text, kDeepest);
}

nlohmann::ordered_json parse_bounded(std::string_view text) {
  if (nests_too_deeply(text)) return nlohmann::ordered_json(nlohmann::ordered_json::value_t::discarded);
  return nlohmann::ordered_json::parse(text, nullptr, false);
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
