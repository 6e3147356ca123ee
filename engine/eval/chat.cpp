#include "engine/eval/chat.h"

#include <nlohmann/json.hpp>

namespace stepdown::eval {

using tokenizer::TokenId;

ChatEncoder::ChatEncoder(const tokenizer::Tokenizer& tokenizer, const std::string& chat_template)
    : tokenizer_(tokenizer), template_(chat_template) {}

std::vector<TokenId> ChatEncoder::prompt(const nlohmann::json& messages) const {
  const auto spelled = [&](TokenId id) { return id < 0 ? std::string() : tokenizer_.decode({&id, 1}, true); };
  const TokenId bos = tokenizer_.bos();
  const auto ends = tokenizer_.end_tokens();
  const std::string text = template_.render({{"messages", messages},
                                             {"add_generation_prompt", true},
                                             {"bos_token", spelled(bos)},
                                             {"eos_token", ends.empty() ? "" : spelled(ends.front())}});
  std::vector<TokenId> ids = tokenizer_.encode(text, true);
  if (bos >= 0 && (ids.empty() || ids.front() != bos)) ids.insert(ids.begin(), bos);
  return ids;
}

}  // namespace stepdown::eval
