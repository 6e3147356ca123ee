#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/tokenizer/tokenizer.h"

namespace stepdown::tokenizer {

/// How one kind of vocabulary cuts plain text (no special tokens in it) into tokens. Thread-safe.
class SubwordModel {
 public:
  virtual ~SubwordModel() = default;
  /// Appends the ids of `text`; `first` says that nothing, or a special token, stands before it.
  virtual void encode(std::string_view text, bool first, std::vector<TokenId>& ids) const = 0;
  /// The bytes that a normal token stands for.
  virtual std::string bytes_of(std::string_view token) const = 0;
};

/// Byte-level BPE (GGUF "gpt2"): merges by rank within the pieces of the pre-tokenizer.
std::unique_ptr<SubwordModel> make_bpe(const formats::TokenizerData& data);
/// SentencePiece BPE (GGUF "llama"): merges by score, bytes for what the vocabulary lacks.
std::unique_ptr<SubwordModel> make_sentencepiece(const formats::TokenizerData& data);

}  // namespace stepdown::tokenizer
