#include "engine/runtime/token_index.h"

#include <algorithm>
#include <optional>

#include "engine/base/utf8.h"

namespace stepdown::runtime {
namespace {

/// Code points of text that a JSON string can hold as it is; nullopt for all other text.
std::optional<std::size_t> plain_length(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) {
    const CodePoint next = decode_utf8(text);
    if (next.length == 0 || next.value < 0x20 || next.value == '"' || next.value == '\\') return std::nullopt;
    text.remove_prefix(next.length);
  }
  return count;
}

void sort_and_share(std::vector<TokenIndex::Entry>& entries) {
  std::ranges::sort(entries, {}, &TokenIndex::Entry::bytes);
  for (std::size_t i = 1; i < entries.size(); ++i) {
    const auto [end, other] = std::ranges::mismatch(entries[i].bytes, entries[i - 1].bytes);
    entries[i].shared = static_cast<std::uint32_t>(end - entries[i].bytes.begin());
  }
}

}  // namespace

TokenIndex::TokenIndex(const tokenizer::Tokenizer& tokenizer)
    : words_((static_cast<std::size_t>(tokenizer.vocab_size()) + 31) / 32) {
  for (tokenizer::TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.bytes(id);
    if (bytes.empty() || tokenizer.is_end(id)) continue;
    all_.push_back({bytes, id, 0});
    longest_ = std::max(longest_, bytes.size());
    const auto length = plain_length(bytes);
    if (!length) {
      special_.push_back({bytes, id, 0});
      continue;
    }
    if (plain_.size() <= *length) plain_.resize(*length + 1, std::vector<std::uint32_t>(words_));
    allow(plain_[*length], id);
  }
  if (plain_.empty()) plain_.emplace_back(words_);
  for (std::size_t i = 1; i < plain_.size(); ++i) {
    for (std::size_t word = 0; word < words_; ++word) plain_[i][word] |= plain_[i - 1][word];
  }
  sort_and_share(all_);
  sort_and_share(special_);
}

std::span<const std::uint32_t> TokenIndex::plain(std::size_t code_points) const {
  return plain_[std::min(code_points, plain_.size() - 1)];
}

}  // namespace stepdown::runtime
