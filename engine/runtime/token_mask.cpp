#include "engine/runtime/token_mask.h"

#include <algorithm>
#include <array>
#include <bit>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/schema/string_pattern.h"
#include "engine/schema/text_grammar.h"

namespace stepdown::runtime {
namespace {

/// Part of a trie's walk: all nodes, or those below one.
struct Nodes {
  std::size_t first, end;
};

Nodes all_nodes(const TokenTrie& trie) {
  return {0, trie.nodes.size() - 1};
}

/// Work that computing one mask may take: the more tokens there are to look at, the more.
class Budget {
 public:
  explicit Budget(const TokenIndex& index) : left_(1'000'000 + 16 * index.all().nodes.size()) {}
  bool spent() const { return left_ == 0; }
  void spend(std::size_t work) { left_ -= std::min(left_, work); }

 private:
  std::size_t left_;
};

/// Allows every token of the nodes whose bytes go on from `start`, which stands where the first of them
/// begins. `states[d]` is the matcher after d more bytes, up to the node at hand.
void walk(const TokenTrie& trie, Nodes nodes, const schema::PrefixMatcher& start, TokenMask& mask,
          Budget& budget) {
  std::vector<schema::PrefixMatcher> states = {start};
  const std::size_t before = nodes.first < nodes.end ? trie.nodes[nodes.first].depth : 0;
  for (std::size_t at = nodes.first; at < nodes.end && !budget.spent();) {
    const TokenTrie::Node& node = trie.nodes[at];
    const std::size_t depth = node.depth - before;
    if (states.size() == depth + 1) states.push_back(states[depth]);
    const bool fits = states[depth + 1].become(states[depth], node.byte);
    budget.spend(states[depth + 1].work());
    if (!fits) {
      at = node.next;
      continue;
    }
    for (const tokenizer::TokenId id : trie.tokens(at)) allow(mask, id);
    ++at;
  }
}

/// Readings of a grammar by number, and where each byte led them: the tokens of a vocabulary ask for the same
/// few again and again.
class KnownReadings {
 public:
  KnownReadings(const schema::PrefixMatcher& start, std::size_t horizon, Budget& budget)
      : horizon_(horizon), budget_(budget) {
    number(start);
  }
  static constexpr std::int32_t kNowhere = -1;

  std::int32_t after(std::int32_t reading, std::uint8_t byte) {
    const auto known = static_cast<std::size_t>(reading);
    if (next_[known][byte] != kUnknown) return next_[known][byte];
    schema::PrefixMatcher ahead = readings_[known];
    const bool fits = ahead.accept(byte);
    constexpr std::size_t kOwn = 8;  // of the look-up
    budget_.spend(ahead.work() + kOwn);
    const std::int32_t to = fits ? number(ahead) : kNowhere;
    return next_[known][byte] = to;
  }

 private:
  static constexpr std::int32_t kUnknown = -2;
  static constexpr std::size_t kKeyBytesAtOnce = 64;

  std::int32_t number(const schema::PrefixMatcher& reading) {
    std::string key = reading.key(horizon_);  // longer the more readings there are, and the deeper they nest
    budget_.spend(key.size() / kKeyBytesAtOnce);
    const auto [entry, fresh] =
        numbers_.try_emplace(std::move(key), static_cast<std::int32_t>(readings_.size()));
    if (fresh) {
      readings_.push_back(reading);
      next_.emplace_back().fill(kUnknown);
    }
    return entry->second;
  }

  std::size_t horizon_;
  Budget& budget_;
  std::vector<schema::PrefixMatcher> readings_;
  std::deque<std::array<std::int32_t, 256>> next_;
  std::unordered_map<std::string, std::int32_t> numbers_;
};

/// The same of a grammar's text.
void walk(const TokenTrie& trie, std::size_t longest, KnownReadings& known, TokenMask& mask, Budget& budget) {
  std::vector<std::int32_t> states(longest + 1, 0);
  const std::size_t end = all_nodes(trie).end;
  for (std::size_t at = 0; at < end && !budget.spent();) {
    const TokenTrie::Node& node = trie.nodes[at];
    const std::int32_t next = states[node.depth + 1U] = known.after(states[node.depth], node.byte);
    if (next == KnownReadings::kNowhere) {
      at = node.next;
      continue;
    }
    for (const tokenizer::TokenId id : trie.tokens(at)) allow(mask, id);
    ++at;
  }
}

/// The same from a plain state of a grammar, by one look a byte as long as states are plain; `start` is
/// there.
void walk(const TokenTrie& trie, schema::PlainPlace place, std::size_t longest,
          const schema::PrefixMatcher& start, TokenMask& mask, Budget& budget) {
  const schema::TextGrammar& grammar = *place.grammar;
  std::vector<schema::TextGrammar::State> states(longest + 1, place.state);
  std::string bytes(longest, '\0');  // up to the node at hand
  const std::size_t end = all_nodes(trie).end;
  for (std::size_t at = 0; at < end;) {
    const TokenTrie::Node& node = trie.nodes[at];
    const auto next = grammar.next(states[node.depth], node.byte);
    bytes[node.depth] = static_cast<char>(node.byte);
    states[node.depth + 1U] = next;
    if (next == schema::TextGrammar::kNowhere) {
      at = node.next;
      continue;
    }
    for (const tokenizer::TokenId id : trie.tokens(at)) allow(mask, id);
    ++at;
    if (grammar[next].plain) continue;
    schema::PrefixMatcher ahead = start;
    ahead.accept(std::string_view(bytes).substr(0, node.depth + 1U));
    walk(trie, {at, node.next}, ahead, mask, budget);
    at = node.next;
  }
}

/// Allows the tokens that a string's pattern goes on with; those that end the string are not among them.
void walk(const TokenTrie& trie, schema::PatternPlace start, std::size_t longest, TokenMask& mask) {
  std::vector<schema::StringPattern::State> states(longest + 1, start.state);
  const std::size_t end = trie.nodes.size() - 1;
  for (std::size_t at = 0; at < end;) {
    const TokenTrie::Node& node = trie.nodes[at];
    const bool marked = node.byte == '"' || node.byte == '\\';
    const auto next =
        marked ? schema::StringPattern::kDead : start.pattern->next(states[node.depth], node.byte);
    states[node.depth + 1U] = next;
    if (next == schema::StringPattern::kDead) {
      at = node.next;
      continue;
    }
    for (const tokenizer::TokenId id : trie.tokens(at)) allow(mask, id);
    ++at;
  }
}

}  // namespace

std::optional<TokenMask> compute_mask(const TokenIndex& index, const schema::PrefixMatcher& matcher) {
  TokenMask mask(index.words());
  if (matcher.finished()) return mask;
  Budget budget(index);
  // Most of a vocabulary is plain text, which inside a string only its length can rule out.
  const auto room = matcher.free_text();
  const auto place = room ? std::nullopt : matcher.pattern_place();
  if (room) std::ranges::copy(index.plain(*room), mask.begin());
  if (place) walk(index.all(), *place, index.longest(), mask);
  std::vector<const TokenTrie*> rest = {room || place ? &index.marked() : &index.all()};
  if (matcher.reads_control_tokens()) rest.push_back(&index.control());
  if (const auto plain = matcher.plain_place()) {
    for (const TokenTrie* trie : rest) walk(*trie, *plain, index.longest(), matcher, mask, budget);
  } else if (constexpr std::size_t kFew = 16; matcher.in_document() && matcher.work() <= kFew) {
    for (const TokenTrie* trie : rest) walk(*trie, all_nodes(*trie), matcher, mask, budget);
  } else {
    KnownReadings known(matcher, index.longest() + 1, budget);
    for (const TokenTrie* trie : rest) walk(*trie, index.longest(), known, mask, budget);
  }
  return budget.spent() ? std::nullopt : std::optional(std::move(mask));
}

tokenizer::TokenId forced_token(const TokenMask& mask, const TokenIndex& index) {
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
  const tokenizer::TokenId longest =
      *std::ranges::max_element(allowed, {}, [&](tokenizer::TokenId id) { return index.text(id).size(); });
  const bool forced = std::ranges::all_of(
      allowed, [&](tokenizer::TokenId id) { return index.text(longest).starts_with(index.text(id)); });
  return forced ? longest : -1;
}

std::size_t TokenMaskCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::shared_ptr<const MaskEntry> TokenMaskCache::get(std::uint64_t language,
                                                     const schema::PrefixMatcher& matcher) {
  std::string key = std::to_string(language) + ' ' + matcher.key(index_.longest() + 1);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = masks_.find(key); found != masks_.end()) return found->second;
  }
  MaskEntry entry;
  std::optional<TokenMask> mask = compute_mask(index_, matcher);
  entry.too_costly = !mask;
  if (mask) entry.mask = std::move(*mask);
  entry.forced = forced_token(entry.mask, index_);
  auto known = std::make_shared<const MaskEntry>(std::move(entry));
  constexpr std::size_t kBookkeeping = 128;
  const std::size_t size = known->mask.size() * sizeof(TokenMask::value_type) + key.size() + kBookkeeping;
  const std::lock_guard lock(mutex_);
  if (bytes_ + size > most_bytes_) {
    masks_.clear();
    bytes_ = 0;
  }
  if (masks_.insert_or_assign(std::move(key), known).second) bytes_ += size;
  return known;
}

}  // namespace stepdown::runtime
