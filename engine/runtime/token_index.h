#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace stepdown::runtime {

/// Tokens by their bytes, laid out in the order of a walk: a node's first child follows it.
struct TokenTrie {
  struct Node {
    std::uint32_t next = 0;    ///< behind everything that begins like this
    std::uint32_t tokens = 0;  ///< the first in `ids`; they end where the next node's begin
    std::uint16_t depth = 0;   ///< bytes before it
    std::uint8_t byte = 0;
  };
  std::vector<Node> nodes;  ///< the last is a sentinel
  std::vector<tokenizer::TokenId> ids;

  /// Tokens that end at the node.
  std::span<const tokenizer::TokenId> tokens(std::size_t node) const {
    return std::span(ids).subspan(nodes[node].tokens, nodes[node + 1].tokens - nodes[node].tokens);
  }
};

/// One vocabulary, arranged for computing token masks. Immutable.
class TokenIndex {
 public:
  /// The tokenizer must outlive it.
  explicit TokenIndex(const tokenizer::Tokenizer& tokenizer);

  /// Every token that stands for text.
  const TokenTrie& all() const { return all_; }
  /// Tokens that end a JSON string or escape in it.
  const TokenTrie& marked() const { return marked_; }
  /// Control tokens, by the names that they have.
  const TokenTrie& control() const { return control_; }
  /// What a token stands for in a text to which control tokens belong; empty where that is nothing.
  std::string_view text(tokenizer::TokenId id) const;
  /// A mask of the tokens that begin at most that many code points of a string's text and neither end it nor
  /// escape in it; the last code point may be cut off.
  std::span<const std::uint32_t> plain(std::size_t code_points) const;

  std::size_t words() const { return words_; }
  std::size_t longest() const { return longest_; }

 private:
  TokenTrie all_;
  TokenTrie marked_;
  TokenTrie control_;
  const tokenizer::Tokenizer& tokenizer_;
  std::map<tokenizer::TokenId, std::string> control_names_;
  std::vector<std::vector<std::uint32_t>> plain_;  // by code points
  std::size_t words_ = 0;
  std::size_t longest_ = 0;
};

inline void allow(std::span<std::uint32_t> mask, tokenizer::TokenId id) {
  const auto bit = static_cast<std::uint32_t>(id);
  if (bit / 32 < mask.size()) mask[bit / 32] |= 1U << (bit % 32);
}

}  // namespace stepdown::runtime
