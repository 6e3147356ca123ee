#include "engine/tokenizer/tokenizer.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "engine/tokenizer/special_tokens.h"
#include "engine/tokenizer/subword_model.h"

namespace stepdown::tokenizer {
namespace {

using formats::TokenizerData;
using Type = TokenizerData::TokenType;

// Control tokens that end an answer in published models, whatever their files name as EOS.
constexpr std::array<std::string_view, 9> kEndTexts = {
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>",
    "<|end|>",    "<end_of_turn>", "</s>",       "<eos>"};

void check_ids(const TokenizerData& data) {
  const auto size = static_cast<std::int64_t>(data.tokens.size());
  if (size == 0) throw InputError("the vocabulary is empty", "tokenizer.ggml.tokens");
  if (!data.types.empty() && data.types.size() != data.tokens.size()) {
    throw InputError("there are " + std::to_string(data.types.size()) + " token types for " +
                         std::to_string(size) + " tokens",
                     "tokenizer.ggml.token_type");
  }
  const auto check = [size](std::optional<std::int32_t> id, const char* where) {
    if (id && (*id < 0 || *id >= size))
      throw InputError("token id " + std::to_string(*id) + " is outside the vocabulary", where);
  };
  check(data.bos, "tokenizer.ggml.bos_token_id");
  check(data.eos, "tokenizer.ggml.eos_token_id");
  check(data.unknown, "tokenizer.ggml.unknown_token_id");
  for (const std::int32_t id : data.end_of_turn) check(id, "tokenizer.ggml.eot_token_id");
}

}  // namespace

struct Tokenizer::State {
  std::vector<std::string> texts;  // as stored
  std::vector<std::string> bytes;  // empty for control tokens
  std::vector<bool> control;
  std::vector<TokenId> ends;
  TokenId bos = -1;
  SpecialTokens special;
  std::unique_ptr<SubwordModel> model;
};

Tokenizer::Tokenizer(const TokenizerData& data) {
  check_ids(data);
  auto state = std::make_unique<State>();
  state->model = data.model == TokenizerData::Model::kBpe ? make_bpe(data) : make_sentencepiece(data);
  state->texts = data.tokens;
  state->bytes.resize(data.tokens.size());
  state->control.resize(data.tokens.size());
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string& text = state->texts[i];
    const Type type = data.types.empty() ? Type::kNormal : data.types[i];
    const bool control = type == Type::kControl || type == Type::kUnknown || type == Type::kUnused;
    state->control[i] = control;
    if (type == Type::kControl || type == Type::kUserDefined) state->special.add(text, id, control);
    if (!control) state->bytes[i] = type == Type::kUserDefined ? text : state->model->bytes_of(text);
    const bool ends = (control && std::ranges::find(kEndTexts, text) != kEndTexts.end()) || data.eos == id ||
                      std::ranges::find(data.end_of_turn, id) != data.end_of_turn.end();
    if (ends) state->ends.push_back(id);
  }
  if (data.add_bos && data.bos) state->bos = *data.bos;
  state_ = std::move(state);
}

Tokenizer::~Tokenizer() = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool special) const {
  std::vector<TokenId> ids;
  bool first = true;
  for (std::size_t at = 0; at < text.size();) {
    const SpecialTokens::Match match = state_->special.find(text, at, special);
    const std::size_t end = std::min(match.at, text.size());
    if (end > at) state_->model->encode(text.substr(at, end - at), first, ids);
    if (match.id >= 0) ids.push_back(match.id);
    first = true;
    at = end + match.length;
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool special) const {
  std::string text;
  for (const TokenId id : ids) {
    if (id < 0 || id >= vocab_size()) continue;
    text +=
        special && is_control(id) ? std::string_view(state_->texts[static_cast<std::size_t>(id)]) : bytes(id);
  }
  return text;
}

std::string_view Tokenizer::bytes(TokenId id) const {
  return id < 0 || id >= vocab_size() ? std::string_view() : state_->bytes[static_cast<std::size_t>(id)];
}

std::int32_t Tokenizer::vocab_size() const {
  return static_cast<std::int32_t>(state_->texts.size());
}
bool Tokenizer::is_control(TokenId id) const {
  return id >= 0 && id < vocab_size() && state_->control[static_cast<std::size_t>(id)];
}
bool Tokenizer::is_end(TokenId id) const {
  return std::ranges::find(state_->ends, id) != state_->ends.end();
}
std::span<const TokenId> Tokenizer::end_tokens() const {
  return state_->ends;
}
TokenId Tokenizer::bos() const {
  return state_->bos;
}

}  // namespace stepdown::tokenizer
