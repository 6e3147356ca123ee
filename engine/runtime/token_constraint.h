#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/schema/schema.h"
#include "engine/schema/text_grammar.h"
#include "engine/tokenizer/tokenizer.h"

namespace stepdown::runtime {

/// Which tokens may come next in one sequence. Used by one sequence at a time; state is a value.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  /// One bit a token, bit i%32 of word i/32: allowed. End tokens are allowed exactly when the text is
  /// complete.
  virtual void fill_mask(std::span<std::uint32_t> mask) = 0;
  /// Takes the sampled token; false when it was not allowed.
  virtual bool accept(tokenizer::TokenId token) = 0;
  /// Tokens that must come next however the model decides, at most `most`; of several ways to cut the same
  /// text the one with the longest tokens.
  virtual std::vector<tokenizer::TokenId> forced(std::size_t /*most*/) const { return {}; }
  /// The last mask would have taken too much work, and is empty: the language is too ambiguous there.
  virtual bool too_costly() const { return false; }
  /// The text so far is a whole valid document.
  virtual bool complete() const = 0;
  /// One that goes on from here by itself.
  virtual std::unique_ptr<TokenConstraint> clone() const = 0;
};

/// Token masks of schemas and grammars for one vocabulary, with caches shared by all requests. Thread-safe.
class ConstraintFactory {
 public:
  explicit ConstraintFactory(std::shared_ptr<const tokenizer::Tokenizer> tokenizer);
  ~ConstraintFactory();
  /// `written`: the beginning of the document that already stands in the prompt. nullptr when no valid
  /// document begins so. Constraints must not outlive the factory.
  std::unique_ptr<TokenConstraint> make(std::shared_ptr<const schema::Schema> schema,
                                        std::string_view written = {});
  std::unique_ptr<TokenConstraint> make(std::shared_ptr<const schema::TextGrammar> grammar,
                                        std::string_view written = {});

 private:
  std::unique_ptr<TokenConstraint> make(schema::PrefixMatcher matcher, const std::string& language,
                                        std::string_view written);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::runtime
