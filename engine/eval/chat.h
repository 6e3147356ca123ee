#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/tokenizer/chat_template.h"
#include "engine/tokenizer/tokenizer.h"

namespace stepdown::eval {

/// Renders messages as the model's own template does and encodes them, the generation prompt included.
class ChatEncoder {
 public:
  ChatEncoder(const tokenizer::Tokenizer& tokenizer, const std::string& chat_template);
  std::vector<tokenizer::TokenId> prompt(const nlohmann::json& messages) const;
  const tokenizer::Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  const tokenizer::Tokenizer& tokenizer_;
  tokenizer::ChatTemplate template_;
};

}  // namespace stepdown::eval
