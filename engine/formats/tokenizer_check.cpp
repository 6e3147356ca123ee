#include <cmath>
#include <string>
#include <unordered_map>

#include "engine/base/error.h"
#include "engine/formats/model_check.h"

namespace stepdown::formats {
namespace {

using Type = TokenizerData::TokenType;

constexpr const char* kMend = "give the tokenizer of this very model, all its files from one place";

std::string in_quotes(std::string_view token) {
  return "'" + std::string(token.substr(0, 64)) + "'";
}

void check_lengths(const TokenizerData& data, std::int64_t vocab, const ModelPlace& place) {
  const auto check = [&](std::size_t length, std::string_view what, std::string_view key) {
    if (static_cast<std::int64_t>(length) == vocab) return;
    throw InputError("has " + std::to_string(length) + " " + std::string(what) + " for a vocabulary of " +
                         std::to_string(vocab),
                     place.tokenizer(key, "model.vocab"), kMend);
  };
  check(data.tokens.size(), "tokens", "tokens");
  check(data.types.size(), "token types", "token_type");
  if (!data.scores.empty()) check(data.scores.size(), "scores", "scores");
  for (std::size_t id = 0; id < data.scores.size(); ++id) {
    if (std::isfinite(data.scores[id])) continue;
    throw InputError("the score of token " + std::to_string(id) + " is no finite number",
                     place.tokenizer("scores", "model.vocab"), kMend);
  }
}

void check_special_ids(const TokenizerData& data, std::int64_t vocab, const ModelPlace& place) {
  const auto check = [&](std::optional<std::int32_t> id, std::string_view key, std::string_view hf) {
    if (!id || (*id >= 0 && *id < vocab)) return;
    throw InputError("is " + std::to_string(*id) + ", outside the vocabulary of " + std::to_string(vocab),
                     place.tokenizer(key, hf), kMend);
  };
  check(data.bos, "bos_token_id", "bos_token");
  check(data.eos, "eos_token_id", "eos_token");
  check(data.unknown, "unknown_token_id", "model.unk_token");
  check(data.padding, "padding_token_id", "pad_token");
  for (const std::int32_t id : data.end_of_turn) check(id, "eot_token_id", "eos_token");
}

using Known = std::unordered_map<std::string_view, std::size_t>;

/// Ids by text, of the tokens that text can become. Padding of the vocabulary may bear any name.
Known unique_tokens(const TokenizerData& data, const ModelPlace& place) {
  Known known;
  known.reserve(data.tokens.size());
  for (std::size_t id = 0; id < data.tokens.size(); ++id) {
    if (data.types[id] == Type::kUnused || data.tokens[id].empty()) continue;
    const auto [at, fresh] = known.emplace(data.tokens[id], id);
    if (fresh) continue;
    throw InputError("tokens " + std::to_string(at->second) + " and " + std::to_string(id) + " are both " +
                         in_quotes(data.tokens[id]),
                     place.tokenizer("tokens", "model.vocab"), kMend);
  }
  return known;
}

void check_merges(const TokenizerData& data, const Known& known, const ModelPlace& place) {
  const auto fail = [&](std::size_t rank, const std::string& what) {
    throw InputError("merge " + std::to_string(rank) + " " + what, place.tokenizer("merges", "model.merges"),
                     kMend);
  };
  const auto is_token = [&](std::string_view text) {
    const auto found = known.find(text);
    return found != known.end() && data.types[found->second] != Type::kControl;
  };
  std::string joined;
  for (std::size_t rank = 0; rank < data.merges.size(); ++rank) {
    const std::string_view merge = data.merges[rank];
    const std::size_t space = merge.find(' ', 1);  // a part may itself begin with one
    if (space == std::string_view::npos || space + 1 == merge.size())
      fail(rank, "is " + in_quotes(merge) + ", not 'left right'");
    const std::string_view left = merge.substr(0, space);
    const std::string_view right = merge.substr(space + 1);
    joined.assign(left).append(right);
    for (const std::string_view part : {left, right, std::string_view(joined)}) {
      if (!is_token(part)) fail(rank, "is " + in_quotes(merge) + ", but " + in_quotes(part) + " is no token");
    }
  }
}

}  // namespace

void check_tokenizer(const TokenizerData& tokenizer, std::int64_t vocab, const ModelPlace& place) {
  check_lengths(tokenizer, vocab, place);
  check_special_ids(tokenizer, vocab, place);
  const Known known = unique_tokens(tokenizer, place);
  if (tokenizer.model == TokenizerData::Model::kBpe) check_merges(tokenizer, known, place);
}

}  // namespace stepdown::formats
