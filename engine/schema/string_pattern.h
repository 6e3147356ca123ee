#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/schema/regex_nfa.h"

namespace stepdown::schema {

/// A regular expression of `pattern` as a DFA over the UTF-8 bytes of a string's content. Every state can
/// still reach an accepting one.
class StringPattern {
 public:
  using State = std::int32_t;
  static constexpr State kDead = -1;

  /// Supported: literals, ., classes, \d \w \s and their negations (ASCII, as in ECMA-262), groups, |, ? * +
  /// {m,n}, ^ at the start and $ at the end; an end without anchor matches anything. `json_safe` leaves out
  /// strings that JSON would have to escape. Throws InputError for the rest, when the automaton is too large,
  /// or when nothing matches.
  StringPattern(std::string_view regex, bool json_safe);
  StringPattern(const RegexNfa& nfa, bool json_safe);

  State start() const { return 0; }
  State next(State state, unsigned char byte) const { return table_[static_cast<std::size_t>(state)][byte]; }
  bool accepts(State state) const { return accepting_[static_cast<std::size_t>(state)]; }
  bool matches(std::string_view text) const;
  std::size_t size() const { return table_.size(); }

 private:
  std::vector<std::array<State, 256>> table_;
  std::vector<bool> accepting_;
};

}  // namespace stepdown::schema
