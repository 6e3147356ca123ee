#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace stepdown::runtime {

/// One vocabulary, arranged for computing token masks. Immutable.
class TokenIndex {
 public:
  explicit TokenIndex(const tokenizer::Tokenizer& tokenizer);

  /// Tokens in byte order; `shared` bytes at their start are those of the entry before.
  struct Entry {
    std::string_view bytes;
    tokenizer::TokenId id;
    std::uint32_t shared;
  };
  /// Every token that stands for text.
  std::span<const Entry> all() const { return all_; }
  /// Tokens that may end a JSON string, escape in it, or cut a code point in two.
  std::span<const Entry> special() const { return special_; }
  /// A mask of all other tokens that have at most that many code points.
  std::span<const std::uint32_t> plain(std::size_t code_points) const;

  std::size_t words() const { return words_; }
  std::size_t longest() const { return longest_; }

 private:
  std::vector<Entry> all_;
  std::vector<Entry> special_;
  std::vector<std::vector<std::uint32_t>> plain_;  // by code points
  std::size_t words_ = 0;
  std::size_t longest_ = 0;
};

inline void allow(std::span<std::uint32_t> mask, tokenizer::TokenId id) {
  const auto bit = static_cast<std::uint32_t>(id);
  if (bit / 32 < mask.size()) mask[bit / 32] |= 1U << (bit % 32);
}

}  // namespace stepdown::runtime
