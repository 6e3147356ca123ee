#include "engine/server/prompt_builder.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "engine/server/api_error.h"

namespace stepdown::server {
namespace {

/// Cuts the rendered chat where the last message's text ends, as transformers does.
std::string up_to_final_message(std::string text, const std::string& content) {
  const std::size_t last = content.find_last_not_of(" \t\n\r");
  const std::size_t first = std::min(content.find_first_not_of(" \t\n\r"), content.size());
  const std::string trimmed =
      last == std::string::npos ? std::string() : content.substr(first, last + 1 - first);
  for (const std::string& written : {content, trimmed}) {  // templates may trim
    const std::size_t at = written.empty() ? std::string::npos : text.rfind(written);
    if (at == std::string::npos) continue;
    text.resize(at + written.size());
    return text;
  }
  throw ApiError(400, "invalid_value", "the last message is empty, or the chat template does not show it",
                 "continue_final_message");
}

}  // namespace

PromptBuilder::PromptBuilder(std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                             const formats::TokenizerData& data)
    : tokenizer_(std::move(tokenizer)) {
  if (!data.chat_template.empty()) chat_.emplace(tokenizer_, data);
  tool_format_ = &tool_format_of(data.chat_template);
}

std::string PromptBuilder::render(const Request& request) const {
  if (!chat_)
    throw ApiError(400, "no_chat_template", "the model has no chat template; use /v1/completions",
                   "messages");
  nlohmann::ordered_json variables =
      request.template_extras.is_object() ? request.template_extras : nlohmann::ordered_json::object();
  variables["messages"] = request.messages;
  if (!request.tools.declared.is_null()) variables["tools"] = request.tools.declared;
  variables["add_generation_prompt"] = !request.continue_final_message;
  try {
    std::string text = chat_->render(std::move(variables));
    std::string written;
    if (request.continue_final_message) {
      written = request.messages.back()["content"].get<std::string>();
      text = up_to_final_message(std::move(text), written);
    }
    const bool forced = request.tools.choice == ToolUse::Choice::kRequired;
    if (forced && !begun_call(*tool_format_, written)) text += tool_format_->forced_opening;
    return text;
  } catch (const InputError& error) {
    throw ApiError(400, "invalid_messages", error.what(), "messages");
  }
}

std::vector<runtime::TokenId> PromptBuilder::encode(const Prompt& prompt) const {
  if (const auto* ids = std::get_if<std::vector<runtime::TokenId>>(&prompt)) return *ids;
  std::vector<runtime::TokenId> ids = tokenizer_->encode(std::get<std::string>(prompt), true);
  if (tokenizer_->bos() >= 0) ids.insert(ids.begin(), tokenizer_->bos());
  return ids;
}

std::vector<std::vector<runtime::TokenId>> PromptBuilder::build(const Request& request) const {
  std::vector<std::vector<runtime::TokenId>> distinct;
  if (request.chat) {
    distinct.push_back(chat_->encode(render(request)));
  }
  for (const Prompt& prompt : request.prompts) distinct.push_back(encode(prompt));
  std::vector<std::vector<runtime::TokenId>> all;
  for (const auto& prompt : distinct) all.insert(all.end(), static_cast<std::size_t>(request.n), prompt);
  return all;
}

}  // namespace stepdown::server
