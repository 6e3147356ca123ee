#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::schema {

/// A context-free grammar over text, as a recursive transition network over bytes: every rule is an automaton
/// whose edges read a byte or call a rule. Immutable, shared between requests.
class TextGrammar {
 public:
  /// GBNF, llama.cpp's form of EBNF; the rule `root` is the whole text. Supported: literals, classes, `.`,
  /// groups, |, ? * + {m,n}, comments. Throws InputError with the line for what cannot be parsed, for rules
  /// that are missing, recursive at their own beginning, never end, or have too many beginnings.
  static std::shared_ptr<const TextGrammar> from_gbnf(std::string_view grammar);
  /// The whole text matches; the regexes are those of JSON Schema's `pattern`.
  static std::shared_ptr<const TextGrammar> from_regex(std::string_view regex);
  /// The text is one of these.
  static std::shared_ptr<const TextGrammar> from_choices(std::span<const std::string> choices);

  /// Equal texts have equal languages: what caches across requests are keyed by.
  const std::string& text() const { return text_; }

  using State = std::int32_t;
  struct Edge {
    std::uint8_t low, high;
    State to;
  };
  /// Enters another rule and comes back.
  struct Call {
    State rule;
    State back;
    bool tail = false;  ///< nothing is left to read there: the rule's own end will do
  };
  struct Node {
    std::vector<Edge> edges;
    std::vector<State> empty;
    std::vector<Call> calls;
    bool ends = false;  ///< a rule ends here
  };
  const Node& operator[](State state) const { return nodes_[static_cast<std::size_t>(state)]; }
  State start() const { return start_; }
  std::size_t size() const { return nodes_.size(); }

 private:
  friend class GrammarBuilder;
  TextGrammar() = default;

  std::vector<Node> nodes_;
  State start_ = 0;
  std::string text_;
};

/// Where texts of the grammar may stand after the bytes read so far; a value.
class TextReading {
 public:
  /// So many places are followed at a time.
  static constexpr std::size_t kMostOpen = 256;

  explicit TextReading(std::shared_ptr<const TextGrammar> grammar);

  /// False when the byte leaves the language; the reading is then unchanged.
  bool accept(unsigned char byte);
  bool complete() const { return complete_; }
  bool finished() const { return complete_ && threads_.empty(); }
  /// Readings of one grammar with equal keys accept the same.
  std::string key() const;

 private:
  /// The rules to come back to, innermost first.
  struct Return {
    TextGrammar::State state;
    int depth;
    std::shared_ptr<const Return> below;
  };
  using ReturnPtr = std::shared_ptr<const Return>;
  struct Thread {
    TextGrammar::State state;
    ReturnPtr back;
  };
  static bool same(const Thread& a, const Thread& b);
  static void follow(const TextGrammar& grammar, std::vector<Thread> open, std::vector<Thread>& threads,
                     bool& complete);

  std::shared_ptr<const TextGrammar> grammar_;
  std::vector<Thread> threads_;  ///< at states that read bytes
  bool complete_ = false;
};

}  // namespace stepdown::schema
