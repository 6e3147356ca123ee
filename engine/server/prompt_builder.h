#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/server/request.h"
#include "engine/tokenizer/chat_template.h"

namespace stepdown::server {

/// Requests → token ids, by the model's template and tokenizer.
class PromptBuilder {
 public:
  /// Throws InputError when the model's template cannot be parsed.
  PromptBuilder(std::shared_ptr<const tokenizer::Tokenizer> tokenizer, const formats::TokenizerData& data);

  /// One prompt a sequence, `n` for each prompt given. Throws ApiError.
  std::vector<std::vector<runtime::TokenId>> build(const Request& request) const;
  /// The chat as text, as the template writes it.
  std::string render(const Request& request) const;

 private:
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::optional<tokenizer::ChatTemplate> template_;
  std::string bos_, eos_;
};

}  // namespace stepdown::server
