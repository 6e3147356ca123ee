#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/schema/regex_nfa.h"
#include "engine/schema/text_grammar.h"

namespace stepdown::schema {

/// A text's code points. Throws InputError that names `where` for one that is no UTF-8.
std::u32string code_points_of(std::string_view text, const std::string& where);

/// Turns automata with calls into a grammar, and refuses what no text could follow.
class GrammarBuilder {
 public:
  using State = TextGrammar::State;
  struct Rule {
    std::string name;
    State start, end;
  };
  struct Call {
    State from;
    std::size_t rule;  ///< of `rules`
    State back;
  };
  /// Reads a JSON document.
  struct Document {
    State from;
    std::shared_ptr<const Schema> schema;
    std::string begun;  ///< of the document: what led to `from`
    State back;
  };
  RegexNfa nfa;  ///< its start and accept do not count here
  std::vector<Rule> rules;
  std::vector<Call> calls;
  std::vector<Document> documents;
  bool reads_control_tokens = false;  ///< as TextGrammar's

  /// A new one. Throws InputError when the grammar grows too large.
  State state();
  /// Reads one byte at `from`, each leading where `to` says; TextGrammar::kNowhere: it may not be read.
  void add_bytes(State from, const std::function<State(unsigned char)>& to);
  /// Lets a text lead from `start` to `end`; texts that begin alike and were added by the same `trie` share
  /// their beginnings, so that however many there are, few are followed at a time.
  using Trie = std::map<std::pair<State, char32_t>, State>;
  void add_text(Trie& trie, State start, State end, std::u32string_view text);
  /// Throws InputError for rules that never end, begin with themselves or have
  /// more beginnings than are followed. `text`: what TextGrammar::text()
  /// says.
  std::shared_ptr<const TextGrammar> build(std::size_t root, std::string text) const;

 private:
  /// Rules, by their start, whose end is reached: over reading edges too, or over empty ones alone.
  std::map<State, bool> passable(const TextGrammar& grammar, bool reading) const;
  void check_ends(const TextGrammar& grammar) const;
  void check_beginnings(const TextGrammar& grammar) const;
  void check_width(const TextGrammar& grammar) const;
};

}  // namespace stepdown::schema
