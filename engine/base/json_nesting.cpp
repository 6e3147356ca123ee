#include "engine/base/json_nesting.h"

#include <algorithm>
#include <vector>

namespace stepdown {

void JsonNesting::take(char c) {
  if (escaped_) {
    escaped_ = false;
  } else if (in_string_ && c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    in_string_ = !in_string_;
  } else if (!in_string_ && (c == '{' || c == '[')) {
    ++depth_;
  } else if (!in_string_ && (c == '}' || c == ']')) {
    --depth_;
  }
}

bool holds_wider_object(std::string_view text, std::size_t members) {
  JsonNesting nesting;
  std::vector<std::size_t> open;  // members of each bracket that is open
  for (const char c : text) {
    nesting.take(c);
    if (nesting.in_string()) continue;
    open.resize(static_cast<std::size_t>(std::max(0, nesting.depth())));
    if (c == ':' && !open.empty() && ++open.back() > members) return true;
  }
  return false;
}

bool nests_deeper(std::string_view text, int levels) {
  JsonNesting nesting;
  for (const char c : text) {
    nesting.take(c);
    if (nesting.depth() > levels) return true;
  }
  return false;
}

}  // namespace stepdown
