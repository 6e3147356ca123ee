#include "engine/base/json_nesting.h"

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

bool nests_deeper(std::string_view text, int levels) {
  JsonNesting nesting;
  for (const char c : text) {
    nesting.take(c);
    if (nesting.depth() > levels) return true;
  }
  return false;
}

}  // namespace stepdown
