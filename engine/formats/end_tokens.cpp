#include "engine/formats/end_tokens.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace stepdown::formats {
namespace {

constexpr std::array<std::string_view, 9> kEndOfTurn = {
    "<|im_end|>", "<|eot_id|>",      "<|eom_id|>",         "<|end|>", "<end_of_turn>", "<|endoftext|>",
    "</s>",       "<|end_of_text|>", "<end_of_utterance>",
};

}  // namespace

void complete_end_of_turn(TokenizerData& tokenizer) {
  auto& ends = tokenizer.end_of_turn;
  for (std::size_t id = 0; id < tokenizer.tokens.size(); ++id) {
    if (tokenizer.types[id] != TokenizerData::TokenType::kControl) continue;
    if (std::ranges::find(kEndOfTurn, tokenizer.tokens[id]) == kEndOfTurn.end()) continue;
    ends.push_back(static_cast<std::int32_t>(id));
  }
  std::ranges::sort(ends);
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  if (tokenizer.eos) std::erase(ends, *tokenizer.eos);
}

}  // namespace stepdown::formats
