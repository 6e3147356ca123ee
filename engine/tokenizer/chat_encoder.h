#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/tokenizer/chat_template.h"
#include "engine/tokenizer/tokenizer.h"

namespace stepdown::tokenizer {

/// Chats → prompts by the model's own template, for all who serve or measure it: they must encode alike.
class ChatEncoder {
 public:
  /// Throws InputError when the template is empty or cannot be parsed.
  ChatEncoder(std::shared_ptr<const Tokenizer> tokenizer, const formats::TokenizerData& data);

  /// The chat as text. `variables` are the template's (see ChatTemplate::render); bos_token and eos_token are
  /// set here. Throws InputError.
  std::string render(nlohmann::ordered_json variables) const;
  /// Rendered text as ids. BOS is the template's business alone, as in transformers.
  std::vector<TokenId> encode(std::string_view rendered) const;
  /// Messages with the generation prompt behind them. `tools`: what the model may call; null: nothing.
  std::vector<TokenId> prompt(const nlohmann::ordered_json& messages,
                              const nlohmann::ordered_json& tools) const;
  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  ChatTemplate template_;
  std::string bos_, eos_;
};

}  // namespace stepdown::tokenizer
