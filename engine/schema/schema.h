#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::schema {

struct Violation {
  std::string path;  ///< JSON pointer into the document
  std::string what;
};

struct Grammar;  // the compiled automaton, private to the room

/// A JSON Schema (draft 2020-12 subset, as OpenAI's strict mode accepts) compiled to a byte-level pushdown
/// automaton over JSON texts. Immutable, shared between requests. Objects are matched with their properties
/// in the schema's order, as OpenAI's strict mode and vLLM emit them.
class Schema {
 public:
  /// Throws InputError naming the JSON path of a keyword that is unknown or unsupported: refused, never
  /// ignored.
  static std::shared_ptr<const Schema> compile(const nlohmann::ordered_json& schema);
  /// nlohmann::json sorts keys, which would lose the properties' order: parse schemas as ordered_json.
  static std::shared_ptr<const Schema> compile(const nlohmann::json& schema) = delete;
  /// response_format {"type": "json_object"}: any JSON object, nesting bounded.
  static std::shared_ptr<const Schema> any_object();

  /// All violations of a whole document; property order does not matter here. Empty means valid.
  std::vector<Violation> validate(const nlohmann::json& document) const;
  /// The same on text; text that is no JSON is one violation.
  std::vector<Violation> validate_text(std::string_view text) const;

  const Grammar& grammar() const { return *grammar_; }
  /// The schema's JSON text: equal texts have equal languages. What caches across requests are keyed by.
  const std::string& text() const { return text_; }

 private:
  Schema(std::shared_ptr<const Grammar> grammar, std::string text);
  std::shared_ptr<const Grammar> grammar_;
  std::string text_;
};

class StringPattern;
class TextGrammar;

/// Inside a string whose text follows a pattern: where it stands there.
struct PatternPlace {
  const StringPattern* pattern;  ///< the schema's
  std::int32_t state;
};

/// In a text where each byte leads to one place: which that is.
struct PlainPlace {
  const TextGrammar* grammar;  ///< the matcher's
  std::int32_t state;
};

/// Follows one text byte by byte and says whether it is still a prefix of some valid document. A value:
/// copying it is how callers look ahead. Never throws.
///
/// The language is what models are led to write, a subset of what validate() accepts: properties in the
/// schema's order and others behind them; one space, or a newline with indentation, between tokens and
/// nothing behind the document; names and enum values without needless escapes; numbers of bounded length.
/// Whatever it calls complete is valid.
class PrefixMatcher {
 public:
  explicit PrefixMatcher(std::shared_ptr<const Schema> schema);
  /// Of any text that a grammar describes, not JSON alone.
  explicit PrefixMatcher(std::shared_ptr<const TextGrammar> grammar);
  PrefixMatcher(const PrefixMatcher&);
  PrefixMatcher& operator=(const PrefixMatcher&);
  PrefixMatcher(PrefixMatcher&&) noexcept;
  PrefixMatcher& operator=(PrefixMatcher&&) noexcept;
  ~PrefixMatcher();

  /// False when the byte leaves the language; the state is then unchanged.
  bool accept(unsigned char byte);
  /// Becomes `before`, of the same language, after one more byte, in the memory that it has already; false
  /// when the byte leaves the language, and this then is nothing to go on from.
  bool become(const PrefixMatcher& before, unsigned char byte);
  /// How many bytes of `text` were accepted; stops before the first that leaves the language.
  std::size_t accept(std::string_view text);
  /// The text so far is a whole valid document.
  bool complete() const;
  /// Nothing but the end may follow.
  bool finished() const;

  /// What the last byte cost: readings that were compared. Many where a grammar is ambiguous.
  std::size_t work() const;
  /// Matchers of one schema with equal keys accept the same continuations of up to `horizon` bytes.
  std::string key(std::size_t horizon) const;
  /// Inside a string of any content: how many further code points fit, as long as none is '"', '\\' or a
  /// control character; nullopt elsewhere.
  std::optional<std::size_t> free_text() const;
  /// Inside a string with a pattern: bytes other than '"' and '\\' go on exactly as the pattern says; nullopt
  /// elsewhere.
  std::optional<PatternPlace> pattern_place() const;
  /// A JSON document is read here, and nothing else.
  bool in_document() const;
  /// Control tokens belong to the text here, by their names: outside of its documents, where the grammar says
  /// so.
  bool reads_control_tokens() const;
  /// Where a text of a grammar goes on from one state, and that state is plain; nullopt elsewhere.
  std::optional<PlainPlace> plain_place() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::schema
