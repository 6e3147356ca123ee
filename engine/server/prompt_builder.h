#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/server/request.h"
#include "engine/server/tool_format.h"
#include "engine/tokenizer/chat_encoder.h"

namespace stepdown::server {

/// Requests → token ids, by the model's template and tokenizer.
class PromptBuilder {
 public:
  /// Throws InputError when the model's template cannot be parsed.
  PromptBuilder(std::shared_ptr<const tokenizer::Tokenizer> tokenizer, const formats::TokenizerData& data);

  /// One prompt a sequence, `n` for each prompt given. Throws ApiError.
  std::vector<std::vector<runtime::TokenId>> build(const Request& request) const;
  /// Text outside any chat, BOS in front where the model wants one.
  std::vector<runtime::TokenId> encode(const Prompt& prompt) const;
  /// How the model writes calls of tools.
  const ToolFormat& tool_format() const { return *tool_format_; }
  /// The chat as text, as the template writes it.
  std::string render(const Request& request) const;

 private:
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::optional<tokenizer::ChatEncoder> chat_;
  const ToolFormat* tool_format_;
};

}  // namespace stepdown::server
