#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/runtime/token_index.h"
#include "engine/schema/schema.h"

namespace stepdown::runtime {

using TokenMask = std::vector<std::uint32_t>;

/// The tokens after which the text is still a prefix of the language; end tokens are not in it. Control
/// tokens are where the language reads them. Nothing where telling takes more work than one
/// request may ask for: a grammar is too ambiguous there.
std::optional<TokenMask> compute_mask(const TokenIndex& index, const schema::PrefixMatcher& matcher);

/// The longest allowed token when all allowed ones begin it, so that every way on spells its text; else −1.
tokenizer::TokenId forced_token(const TokenMask& mask, const TokenIndex& index);

/// What is known of one state of a matcher.
struct MaskEntry {
  TokenMask mask;
  tokenizer::TokenId forced = -1;
  bool too_costly = false;  ///< there is no mask
};

/// Masks by language and state of its matcher. Thread-safe; computes outside the lock.
class TokenMaskCache {
 public:
  /// `index` must outlive it. `most_bytes`: of masks, whatever languages clients ask for.
  TokenMaskCache(const TokenIndex& index, std::size_t most_bytes) : index_(index), most_bytes_(most_bytes) {}
  /// `language` tells apart what matchers of different languages would call the same state.
  std::shared_ptr<const MaskEntry> get(std::uint64_t language, const schema::PrefixMatcher& matcher);
  std::size_t bytes() const;

 private:
  const TokenIndex& index_;
  const std::size_t most_bytes_;
  mutable std::mutex mutex_;
  std::size_t bytes_ = 0;
  std::unordered_map<std::string, std::shared_ptr<const MaskEntry>> masks_;
};

}  // namespace stepdown::runtime
