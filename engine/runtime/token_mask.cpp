#include "engine/runtime/token_mask.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <span>

namespace stepdown::runtime {
namespace {

/// Follows the entries in byte order, so that each shared beginning is matched once: `states[d]` is the
/// matcher after d bytes of the entry at hand.
void walk(std::span<const TokenIndex::Entry> entries, const schema::PrefixMatcher& start, TokenMask& mask) {
  constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();
  std::vector<schema::PrefixMatcher> states = {start};
  std::size_t depth = 0;          // states[0…depth] belong to the entry before
  std::size_t failed = kNowhere;  // the byte at which the entry before left the language
  for (const TokenIndex::Entry& entry : entries) {
    if (failed != kNowhere && entry.shared > failed) continue;
    failed = kNowhere;
    depth = std::min<std::size_t>(depth, entry.shared);
    while (depth < entry.bytes.size()) {
      if (states.size() == depth + 1) {
        states.push_back(states[depth]);
      } else {
        states[depth + 1] = states[depth];
      }
      if (!states[depth + 1].accept(static_cast<unsigned char>(entry.bytes[depth]))) {
        failed = depth;
        break;
      }
      ++depth;
    }
    if (failed == kNowhere) allow(mask, entry.id);
  }
}

}  // namespace

TokenMask compute_mask(const TokenIndex& index, const schema::PrefixMatcher& matcher) {
  TokenMask mask(index.words());
  if (matcher.finished()) return mask;
  // Most of a vocabulary is plain text, which inside a string only its length can rule out.
  const auto room = matcher.free_text();
  if (room) std::ranges::copy(index.plain(*room), mask.begin());
  walk(room ? index.special() : index.all(), matcher, mask);
  return mask;
}

tokenizer::TokenId forced_token(const TokenMask& mask, const tokenizer::Tokenizer& tokenizer) {
  constexpr std::size_t kMost = 64;  // more than that begin nothing in common
  std::vector<tokenizer::TokenId> allowed;
  for (std::size_t word = 0; word < mask.size(); ++word) {
    for (std::uint32_t bits = mask[word]; bits != 0; bits &= bits - 1) {
      if (allowed.size() == kMost) return -1;
      allowed.push_back(
          static_cast<tokenizer::TokenId>(word * 32 + static_cast<std::size_t>(std::countr_zero(bits))));
    }
  }
  if (allowed.empty()) return -1;
  const tokenizer::TokenId longest = *std::ranges::max_element(
      allowed, {}, [&](tokenizer::TokenId id) { return tokenizer.bytes(id).size(); });
  const bool forced = std::ranges::all_of(allowed, [&](tokenizer::TokenId id) {
    return tokenizer.bytes(longest).starts_with(tokenizer.bytes(id));
  });
  return forced ? longest : -1;
}

std::shared_ptr<const MaskEntry> TokenMaskCache::get(const schema::PrefixMatcher& matcher) {
  constexpr std::size_t kMostMasks = 4096;
  std::string key = matcher.key(index_.longest() + 1);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = masks_.find(key); found != masks_.end()) return found->second;
  }
  MaskEntry entry{compute_mask(index_, matcher)};
  entry.forced = forced_token(entry.mask, tokenizer_);
  auto known = std::make_shared<const MaskEntry>(std::move(entry));
  const std::lock_guard lock(mutex_);
  if (masks_.size() >= kMostMasks) masks_.clear();
  masks_.insert_or_assign(std::move(key), known);
  return known;
}

}  // namespace stepdown::runtime
