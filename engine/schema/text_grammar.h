#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/schema/schema.h"

namespace stepdown::schema {

struct JsonReading;

/// A context-free grammar over text, as a recursive transition network over bytes: every rule is an automaton
/// whose edges read a byte, call a rule or read a JSON document. Immutable, shared between requests.
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
  /// Reads a document and comes back.
  struct Document {
    std::shared_ptr<const JsonReading> begun;  ///< of what stands before it already
    State back;
  };
  struct Node {
    std::vector<Edge> edges;
    std::vector<State> empty;
    std::vector<Call> calls;
    std::vector<Document> documents;
    bool ends = false;   ///< a rule ends here
    bool plain = false;  ///< a byte leads to one state at most, and nothing else leads anywhere but to an end
  };
  const Node& operator[](State state) const { return nodes_[static_cast<std::size_t>(state)]; }
  State start() const { return start_; }
  std::size_t size() const { return nodes_.size(); }
  /// Control tokens belong to its texts, by the names that they have.
  bool reads_control_tokens() const { return reads_control_tokens_; }

  static constexpr State kNowhere = -1;
  /// Where a byte leads from a plain state.
  State next(State plain, unsigned char byte) const {
    for (const Edge& edge : (*this)[plain].edges) {
      if (edge.low <= byte && byte <= edge.high) return edge.to;
    }
    return kNowhere;
  }

 private:
  friend class GrammarBuilder;
  TextGrammar() = default;

  std::vector<Node> nodes_;
  State start_ = 0;
  std::string text_;
  bool reads_control_tokens_ = false;
};

/// Where texts of the grammar may stand after the bytes read so far; a value.
class TextReading {
 public:
  /// So many places are followed at a time.
  static constexpr std::size_t kMostOpen = 256;

  explicit TextReading(std::shared_ptr<const TextGrammar> grammar);
  const TextGrammar& grammar() const { return *grammar_; }

  /// False when the byte leaves the language; the reading is then unchanged.
  bool accept(unsigned char byte);
  bool complete() const { return complete_; }
  bool finished() const { return complete_ && threads_.empty(); }
  /// As PrefixMatcher::work.
  std::size_t work() const { return work_; }
  /// Readings of one grammar with equal keys accept the same continuations of up to `horizon` bytes.
  std::string key(std::size_t horizon) const;
  /// The document that is being read, where nothing else may.
  const JsonReading* document() const;
  /// As PrefixMatcher::plain_place.
  std::optional<PlainPlace> plain_place() const;

 private:
  /// The rules to come back to, innermost first.
  struct Return {
    TextGrammar::State state;
    int depth;
    std::size_t hash;  ///< of all of them: those that differ and have the same are followed as one, which
                       ///< loses a reading and makes none up
    std::shared_ptr<const Return> below;
  };
  using ReturnPtr = std::shared_ptr<const Return>;
  struct Thread {
    TextGrammar::State state;  ///< where it stands, or goes on behind the document
    ReturnPtr back;
    std::shared_ptr<const JsonReading> document;  ///< that it reads
  };
  static bool same(const Thread& a, const Thread& b);
  void follow(std::vector<Thread> open);

  std::shared_ptr<const TextGrammar> grammar_;
  std::vector<Thread> threads_;  ///< at states that read bytes, and in documents
  bool complete_ = false;
  std::size_t work_ = 0;
};

}  // namespace stepdown::schema
