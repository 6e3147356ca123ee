#include "engine/runtime/token_mask.h"

#include <algorithm>
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

std::shared_ptr<const TokenMask> TokenMaskCache::get(const schema::PrefixMatcher& matcher) {
  constexpr std::size_t kMostMasks = 4096;
  std::string key = matcher.key(index_.longest() + 1);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = masks_.find(key); found != masks_.end()) return found->second;
  }
  auto mask = std::make_shared<const TokenMask>(compute_mask(index_, matcher));
  const std::lock_guard lock(mutex_);
  if (masks_.size() >= kMostMasks) masks_.clear();
  masks_.insert_or_assign(std::move(key), mask);
  return mask;
}

}  // namespace stepdown::runtime
