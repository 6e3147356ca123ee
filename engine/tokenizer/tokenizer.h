#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/model_file.h"

namespace stepdown::tokenizer {

using TokenId = std::int32_t;

/// Text ↔ token ids. Immutable after construction, safe from any thread.
class Tokenizer {
 public:
  /// Throws InputError when the data are inconsistent (merges that name no token, unknown pre-tokenizer, …).
  explicit Tokenizer(const formats::TokenizerData& data);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// `special`: control tokens written out in the text ("<|im_start|>") become their ids; otherwise plain
  /// text. BOS is not added here. Invalid UTF-8 is encoded byte by byte.
  std::vector<TokenId> encode(std::string_view text, bool special) const;
  /// The raw bytes of the ids; may end inside a UTF-8 sequence. Control tokens give nothing unless `special`.
  std::string decode(std::span<const TokenId> ids, bool special = false) const;
  /// The bytes that one token stands for; empty for control tokens. The view lives as long as the tokenizer.
  std::string_view bytes(TokenId id) const;

  std::int32_t vocab_size() const;
  bool is_control(TokenId id) const;
  /// Whether the token ends generation (EOS, end of turn).
  bool is_end(TokenId id) const;
  std::span<const TokenId> end_tokens() const;
  /// −1 when the model has none or wants none added.
  TokenId bos() const;

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

}  // namespace stepdown::tokenizer
