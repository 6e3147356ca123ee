#include "engine/runtime/token_index.h"

#include <algorithm>
#include <optional>

#include "engine/schema/utf8_state.h"

namespace stepdown::runtime {
namespace {

using Entry = std::pair<std::string_view, tokenizer::TokenId>;

enum class Kind { kPlain, kMarked, kNeither };

/// What the bytes are in a JSON string, between two code points; `begun`: code points of plain text.
Kind kind_of(std::string_view bytes, std::size_t& begun) {
  std::int32_t state = 0;
  begun = 0;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == '"' || byte == '\\') return Kind::kMarked;
    if (byte < 0x20) return Kind::kNeither;
    if (state == schema::kNoUtf8) continue;  // it may go on from the middle of a code point
    if (state == 0) ++begun;
    state = schema::next_utf8(state, byte);
  }
  return state == schema::kNoUtf8 ? Kind::kNeither : Kind::kPlain;
}

TokenTrie arrange(std::vector<Entry> entries) {
  std::ranges::sort(entries);
  TokenTrie trie;
  std::vector<std::uint32_t> path;  // nodes that spell the entry before
  const auto end_path = [&](std::size_t depth) {
    for (; path.size() > depth; path.pop_back())
      trie.nodes[path.back()].next = static_cast<std::uint32_t>(trie.nodes.size());
  };
  std::string_view before;
  for (const auto& [bytes, id] : entries) {
    const auto shared = static_cast<std::size_t>(std::ranges::mismatch(bytes, before).in1 - bytes.begin());
    end_path(shared);
    for (std::size_t depth = shared; depth < bytes.size(); ++depth) {
      path.push_back(static_cast<std::uint32_t>(trie.nodes.size()));
      trie.nodes.push_back({.tokens = static_cast<std::uint32_t>(trie.ids.size()),
                            .depth = static_cast<std::uint16_t>(depth),
                            .byte = static_cast<std::uint8_t>(bytes[depth])});
    }
    trie.ids.push_back(id);
    before = bytes;
  }
  end_path(0);
  trie.nodes.push_back({.next = static_cast<std::uint32_t>(trie.nodes.size()),
                        .tokens = static_cast<std::uint32_t>(trie.ids.size())});
  return trie;
}

}  // namespace

TokenIndex::TokenIndex(const tokenizer::Tokenizer& tokenizer)
    : tokenizer_(tokenizer), words_((static_cast<std::size_t>(tokenizer.vocab_size()) + 31) / 32) {
  constexpr std::size_t kLongest = 0xffff;  // what a node's depth can tell; no real token comes near
  std::vector<Entry> all;
  std::vector<Entry> marked;
  for (tokenizer::TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.bytes(id);
    if (tokenizer.is_control(id) && !tokenizer.is_end(id))
      control_names_.emplace(id, tokenizer.decode({&id, 1}, true));
    if (bytes.empty() || bytes.size() > kLongest || tokenizer.is_end(id)) continue;
    all.emplace_back(bytes, id);
    longest_ = std::max(longest_, bytes.size());
    std::size_t begun = 0;
    const Kind kind = kind_of(bytes, begun);
    if (kind == Kind::kMarked) marked.emplace_back(bytes, id);
    if (kind != Kind::kPlain) continue;
    if (plain_.size() <= begun) plain_.resize(begun + 1, std::vector<std::uint32_t>(words_));
    allow(plain_[begun], id);
  }
  if (plain_.empty()) plain_.emplace_back(words_);
  for (std::size_t i = 1; i < plain_.size(); ++i) {
    for (std::size_t word = 0; word < words_; ++word) plain_[i][word] |= plain_[i - 1][word];
  }
  all_ = arrange(std::move(all));
  marked_ = arrange(std::move(marked));
  std::vector<Entry> control;
  for (const auto& [id, name] : control_names_) {
    if (!name.empty() && name.size() <= kLongest) control.emplace_back(name, id);
    longest_ = std::max(longest_, name.size());
  }
  control_ = arrange(std::move(control));
}

std::string_view TokenIndex::text(tokenizer::TokenId id) const {
  const auto control = control_names_.find(id);
  return control == control_names_.end() ? tokenizer_.bytes(id) : std::string_view(control->second);
}

std::span<const std::uint32_t> TokenIndex::plain(std::size_t code_points) const {
  return plain_[std::min(code_points, plain_.size() - 1)];
}

}  // namespace stepdown::runtime
