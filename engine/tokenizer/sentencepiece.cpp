#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <unordered_map>

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/merge_queue.h"
#include "engine/tokenizer/subword_model.h"

namespace stepdown::tokenizer {
namespace {

using Type = formats::TokenizerData::TokenType;

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581 stands for the space

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(from, at);
    out += text.substr(at, found == std::string_view::npos ? found : found - at);
    if (found == std::string_view::npos) return out;
    out += to;
    at = found + from.size();
  }
}

/// The byte that "<0x41>" names.
std::optional<unsigned char> byte_of(std::string_view token) {
  unsigned int byte = 0;
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<unsigned char>(byte);
}

/// Symbols are spans of the text while they merge, so that characters outside the vocabulary can stand
/// between others.
class SentencePiece final : public SubwordModel {
 public:
  explicit SentencePiece(const formats::TokenizerData& data)
      : add_space_(data.add_space_prefix), unknown_(data.unknown.value_or(-1)) {
    if (data.scores.size() < data.tokens.size()) {
      throw InputError("a score is missing", "tokenizer.ggml.scores",
                       "SentencePiece vocabularies carry one score a token");
    }
    byte_ids_.fill(-1);
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
      const auto id = static_cast<TokenId>(i);
      const Type type = i < data.types.size() ? data.types[i] : Type::kNormal;
      if (const auto byte = byte_of(data.tokens[i]); byte && type == Type::kByte) byte_ids_[*byte] = id;
      if (type == Type::kNormal || type == Type::kUserDefined)
        pieces_.try_emplace(data.tokens[i], Piece{id, data.scores[i]});
    }
  }

  void encode(std::string_view text, bool first, std::vector<TokenId>& ids) const override {
    if (text.empty()) return;
    std::string normal = first && add_space_ ? std::string(kSpace) : std::string();
    normal += replace_all(text, " ", kSpace);
    Work work{normal, {}};
    std::vector<std::int32_t> symbols;
    for (std::size_t at = 0; at < normal.size();) {
      const std::size_t length =
          std::max<std::size_t>(decode_utf8(std::string_view(normal).substr(at)).length, 1);
      symbols.push_back(static_cast<std::int32_t>(work.spans.size()));
      work.spans.push_back({at, length});
      at += length;
    }
    merge_best_first(symbols,
                     [&](std::int32_t left, std::int32_t right) { return candidate(work, left, right); });
    for (const std::int32_t symbol : symbols) emit(work.text_of(symbol), ids);
  }

  std::string bytes_of(std::string_view token) const override {
    if (const auto byte = byte_of(token)) return std::string(1, static_cast<char>(*byte));
    return replace_all(token, kSpace, " ");
  }

 private:
  struct Piece {
    TokenId id;
    float score;
  };
  struct Span {
    std::size_t at, length;
  };
  /// A symbol is an index into `spans`; merging two neighbours appends the span that covers both.
  struct Work {
    std::string_view text;
    std::vector<Span> spans;
    std::string_view text_of(std::int32_t symbol) const {
      const Span span = spans[static_cast<std::size_t>(symbol)];
      return text.substr(span.at, span.length);
    }
  };

  MergeCandidate candidate(Work& work, std::int32_t left, std::int32_t right) const {
    const Span a = work.spans[static_cast<std::size_t>(left)];
    const Span b = work.spans[static_cast<std::size_t>(right)];
    const auto found = pieces_.find(std::string(work.text.substr(a.at, a.length + b.length)));
    if (found == pieces_.end()) return {};
    work.spans.push_back({a.at, a.length + b.length});
    return {-static_cast<double>(found->second.score), static_cast<std::int32_t>(work.spans.size() - 1)};
  }

  void emit(std::string_view symbol, std::vector<TokenId>& ids) const {
    if (const auto found = pieces_.find(std::string(symbol)); found != pieces_.end()) {
      ids.push_back(found->second.id);
      return;
    }
    for (const char c : symbol) {
      const TokenId byte = byte_ids_[static_cast<unsigned char>(c)];
      if (byte >= 0) {
        ids.push_back(byte);
      } else {
        if (unknown_ >= 0) ids.push_back(unknown_);
        return;  // one unknown token a character
      }
    }
  }

  bool add_space_;
  TokenId unknown_;
  std::unordered_map<std::string, Piece> pieces_;
  std::array<TokenId, 256> byte_ids_{};
};

}  // namespace

std::unique_ptr<SubwordModel> make_sentencepiece(const formats::TokenizerData& data) {
  return std::make_unique<SentencePiece>(data);
}

}  // namespace stepdown::tokenizer
