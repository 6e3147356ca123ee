#include "engine/tokenizer/chat_encoder.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace stepdown::tokenizer {
namespace {

std::string token_text(const formats::TokenizerData& data, const std::optional<std::int32_t>& id) {
  return id && *id >= 0 && static_cast<std::size_t>(*id) < data.tokens.size()
             ? data.tokens[static_cast<std::size_t>(*id)]
             : std::string();
}

const std::string& required(const std::string& source) {
  if (source.empty())
    throw InputError("the model has no chat template", "tokenizer",
                     "add chat_template to tokenizer_config.json");
  return source;
}

}  // namespace

ChatEncoder::ChatEncoder(std::shared_ptr<const Tokenizer> tokenizer, const formats::TokenizerData& data)
    : tokenizer_(std::move(tokenizer)),
      template_(required(data.chat_template)),
      bos_(token_text(data, data.bos)),
      eos_(token_text(data, data.eos)) {}

std::string ChatEncoder::render(nlohmann::ordered_json variables) const {
  for (const char* name : {"tools", "documents"}) {  // transformers passes None, which templates ask for
    if (!variables.contains(name)) variables[name] = nullptr;
  }
  variables["bos_token"] = bos_;
  variables["eos_token"] = eos_;
  return template_.render(variables);
}

std::vector<TokenId> ChatEncoder::encode(std::string_view rendered) const {
  return tokenizer_->encode(rendered, true);
}

std::vector<TokenId> ChatEncoder::prompt(const nlohmann::ordered_json& messages,
                                         const nlohmann::ordered_json& tools) const {
  return encode(render({{"messages", messages}, {"tools", tools}, {"add_generation_prompt", true}}));
}

}  // namespace stepdown::tokenizer
