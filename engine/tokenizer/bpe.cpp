#include <array>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <unordered_map>

#include "engine/base/error.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/merge_queue.h"
#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/subword_model.h"

namespace stepdown::tokenizer {
namespace {

using Type = formats::TokenizerData::TokenType;

constexpr std::uint64_t pair_key(TokenId left, TokenId right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}

class Bpe final : public SubwordModel {
 public:
  explicit Bpe(const formats::TokenizerData& data) : pretokenizer_(data.pre) {
    std::unordered_map<std::string_view, TokenId> visible;
    visible.reserve(data.tokens.size());
    for (std::size_t id = 0; id < data.tokens.size(); ++id) {
      const Type type = id < data.types.size() ? data.types[id] : Type::kNormal;
      if (type == Type::kControl || type == Type::kUnused) continue;
      visible.emplace(data.tokens[id], static_cast<TokenId>(id));
      if (const auto bytes = from_visible(data.tokens[id])) ids_.emplace(*bytes, static_cast<TokenId>(id));
    }
    byte_ids_.fill(-1);
    for (int byte = 0; byte < 256; ++byte) {
      const auto found = ids_.find(std::string(1, static_cast<char>(byte)));
      if (found != ids_.end()) byte_ids_[static_cast<std::size_t>(byte)] = found->second;
    }
    add_merges(data, visible);
  }

  void encode(std::string_view text, bool /*first*/, std::vector<TokenId>& ids) const override {
    for (const std::string_view piece : pretokenizer_.split(text)) encode_piece(piece, ids);
  }

  std::string bytes_of(std::string_view token) const override {
    return from_visible(token).value_or(std::string(token));
  }

 private:
  struct Merge {
    std::int32_t rank;
    TokenId merged;
  };

  void add_merges(const formats::TokenizerData& data,
                  const std::unordered_map<std::string_view, TokenId>& visible) {
    merges_.reserve(data.merges.size());
    for (std::size_t rank = 0; rank < data.merges.size(); ++rank) {
      const std::string_view merge = data.merges[rank];
      const auto where = "tokenizer.ggml.merges[" + std::to_string(rank) + "]";
      const std::size_t space = merge.find(' ', 1);
      if (space == std::string_view::npos) throw InputError("merge is not 'left right'", where);
      const auto left = visible.find(merge.substr(0, space));
      const auto right = visible.find(merge.substr(space + 1));
      const auto merged =
          visible.find(std::string(merge.substr(0, space)) + std::string(merge.substr(space + 1)));
      if (left == visible.end() || right == visible.end() || merged == visible.end()) {
        throw InputError("merge '" + std::string(merge) + "' names no token", where,
                         "take vocabulary and merges from one file");
      }
      merges_.try_emplace(pair_key(left->second, right->second),
                          Merge{static_cast<std::int32_t>(rank), merged->second});
    }
  }

  void encode_piece(std::string_view piece, std::vector<TokenId>& ids) const {
    if (piece.size() == 1) {
      if (const TokenId id = byte_ids_[static_cast<unsigned char>(piece[0])]; id >= 0) ids.push_back(id);
      return;
    }
    if (pretokenizer_.whole_pieces_first()) {
      if (const auto whole = ids_.find(std::string(piece)); whole != ids_.end()) {
        ids.push_back(whole->second);
        return;
      }
    }
    const std::string key(piece);
    // Whoever finds the cache busy merges anew rather than waits.
    if (const std::unique_lock lock(cache_mutex_, std::try_to_lock); lock.owns_lock()) {
      if (const auto known = cache_.find(key); known != cache_.end()) {
        ids.insert(ids.end(), known->second.begin(), known->second.end());
        return;
      }
    }
    const std::vector<TokenId> merged = merge(piece);
    ids.insert(ids.end(), merged.begin(), merged.end());
    if (piece.size() > kLongestCached) return;
    if (const std::unique_lock lock(cache_mutex_, std::try_to_lock); lock.owns_lock()) {
      if (cache_.size() >= kCachedPieces) cache_.clear();
      cache_.emplace(key, merged);
    }
  }

  std::vector<TokenId> merge(std::string_view piece) const {
    std::vector<TokenId> symbols;
    symbols.reserve(piece.size());
    for (const char c : piece) {
      // A byte that the vocabulary lacks is dropped, as Hugging Face's BPE without an unknown token does.
      if (const TokenId id = byte_ids_[static_cast<unsigned char>(c)]; id >= 0) symbols.push_back(id);
    }
    merge_best_first(symbols, [this](TokenId left, TokenId right) -> MergeCandidate {
      const auto found = merges_.find(pair_key(left, right));
      if (found == merges_.end()) return {};
      return {static_cast<double>(found->second.rank), found->second.merged};
    });
    return symbols;
  }

  static constexpr std::size_t kLongestCached = 64;
  static constexpr std::size_t kCachedPieces = 32768;

  Pretokenizer pretokenizer_;
  std::unordered_map<std::string, TokenId> ids_;
  std::array<TokenId, 256> byte_ids_{};
  std::unordered_map<std::uint64_t, Merge> merges_;
  mutable std::mutex cache_mutex_;
  mutable std::unordered_map<std::string, std::vector<TokenId>> cache_;
};

}  // namespace

std::unique_ptr<SubwordModel> make_bpe(const formats::TokenizerData& data) {
  return std::make_unique<Bpe>(data);
}

}  // namespace stepdown::tokenizer
