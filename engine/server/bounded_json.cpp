#include "engine/server/bounded_json.h"

#include <nlohmann/json.hpp>

namespace stepdown::server {

bool nests_too_deeply(std::string_view text) {
  constexpr int kDeepest = 200;
  int depth = 0;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (inside && c == '\\') {
      ++i;
    } else if (c == '"') {
      inside = !inside;
    } else if (!inside && (c == '{' || c == '[')) {
      if (++depth > kDeepest) return true;
    } else if (!inside && (c == '}' || c == ']')) {
      --depth;
    }
  }
  return false;
}

nlohmann::ordered_json parse_bounded(std::string_view text) {
  if (nests_too_deeply(text)) return nlohmann::ordered_json(nlohmann::ordered_json::value_t::discarded);
  return nlohmann::ordered_json::parse(text, nullptr, false);
}

}  // namespace stepdown::server
