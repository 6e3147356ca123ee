#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace stepdown::tokenizer {

/// Finds tokens written out in text, leftmost and longest first. Views belong to the caller's vocabulary.
class SpecialTokens {
 public:
  void add(std::string_view text, TokenId id, bool control);
  struct Match {
    std::size_t at = std::string_view::npos;
    std::size_t length = 0;
    TokenId id = -1;
  };
  /// The first match at or after `from`; control tokens count only when asked for.
  Match find(std::string_view text, std::size_t from, bool control) const;

 private:
  struct Entry {
    std::string_view text;
    TokenId id;
    bool control;
  };
  std::array<std::vector<Entry>, 256> by_first_byte_;  // longest first
};

}  // namespace stepdown::tokenizer
