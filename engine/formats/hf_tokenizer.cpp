#include "engine/formats/hf_tokenizer.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/formats/end_tokens.h"
#include "engine/formats/hf_pretokenizer.h"

namespace stepdown::formats {
namespace {

using TokenType = TokenizerData::TokenType;
constexpr std::string_view kSpace = "\xe2\x96\x81";  // "▁", SentencePiece's space
constexpr std::int64_t kMaxVocab = 1 << 22;

bool is_byte_token(const std::string& token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with(">") &&
         token.find_first_not_of("0123456789abcdefABCDEF", 3) == 5;
}

void place_token(TokenizerData& data, const JsonView& at, std::int64_t id, const std::string& token,
                 TokenType type) {
  if (static_cast<std::size_t>(id) >= data.tokens.size()) {
    at.fail("id " + std::to_string(id) + " is beyond the vocabulary of " + std::to_string(data.tokens.size()),
            "give the tokenizer of this model");
  }
  const auto index = static_cast<std::size_t>(id);
  if (data.types[index] != TokenType::kUnused && data.tokens[index] != token) {
    at.fail("id " + std::to_string(id) + " is taken by '" + data.tokens[index] + "' already",
            "the file is damaged");
  }
  data.tokens[index] = token;
  data.types[index] = type;
}

void read_vocabulary(const JsonView& model, const JsonView& file, bool byte_fallback, TokenizerData& data) {
  const JsonView vocabulary = model.required("vocab");
  const std::string unknown = model.text("unk_token", "");
  for (const auto& [token, id] : vocabulary.json().items()) {
    const bool valid = id.is_number_unsigned();
    if (!valid) vocabulary.fail("the id of '" + token + "' is no id", "the file is damaged");
    TokenType type = byte_fallback && is_byte_token(token) ? TokenType::kByte : TokenType::kNormal;
    if (byte_fallback && token == unknown) type = TokenType::kUnknown;
    const auto number = id.get<std::uint64_t>();
    place_token(data, vocabulary, static_cast<std::int64_t>(std::min<std::uint64_t>(number, kMaxVocab)),
                token, type);
    if (token == unknown) data.unknown = static_cast<std::int32_t>(number);
  }
  const auto added = file.member("added_tokens");
  if (!added) return;
  for (const JsonView& token : added->items()) {
    const std::string content = token.required("content").text();
    const bool special = token.boolean("special", false);
    const bool unknown_token = byte_fallback && content == unknown;
    place_token(data, token, token.required("id").length(), content,
                unknown_token ? TokenType::kUnknown
                : special     ? TokenType::kControl
                              : TokenType::kUserDefined);
  }
}

std::vector<std::string> read_merges(const JsonView& model) {
  const JsonView list = model.required("merges");
  if (!list.json().is_array()) list.fail("is no array", "the file is damaged");
  std::vector<std::string> merges;
  merges.reserve(list.json().size());
  for (const auto& merge : list.json()) {  // "left right", since tokenizers 0.20 ["left", "right"]
    const bool pair = merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
    if (!pair && !merge.is_string()) {
      list.fail("merge " + std::to_string(merges.size()) + " is neither \"left right\" nor a pair",
                "the file is damaged");
    }
    merges.push_back(pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                          : merge.get<std::string>());
  }
  return merges;
}

/// SentencePiece merges by score where tokenizer.json has ranks: the earlier a token's first merge, the
/// higher.
std::vector<float> scores_from_merges(const TokenizerData& data) {
  std::unordered_map<std::string, float> by_token;
  for (std::size_t rank = 0; rank < data.merges.size(); ++rank) {
    std::string token = data.merges[rank];
    if (const std::size_t space = token.find(' '); space != std::string::npos) token.erase(space, 1);
    by_token.emplace(std::move(token), -static_cast<float>(rank));
  }
  const float last = -static_cast<float>(data.merges.size());
  std::vector<float> scores;
  scores.reserve(data.tokens.size());
  for (const std::string& token : data.tokens) {
    const auto found = by_token.find(token);
    scores.push_back(found == by_token.end() ? last : found->second);
  }
  return scores;
}

/// Whether a "▁" is put before the text: by the normalizer's Prepend or the Metaspace pre-tokenizer.
bool prepends_space(const JsonView& file) {
  if (const auto metaspace = file.member("pre_tokenizer")) {
    return metaspace->text("prepend_scheme",
                           metaspace->boolean("add_prefix_space", true) ? "always" : "never") != "never";
  }
  const auto normalizer = file.member("normalizer");
  if (!normalizer) return false;
  std::vector<JsonView> steps = {*normalizer};
  if (const auto sequence = normalizer->member("normalizers")) steps = sequence->items();
  return std::ranges::any_of(steps, [](const JsonView& step) {
    return step.text("type", "") == "Prepend" && step.text("prepend", "") == kSpace;
  });
}

/// tokenizer_config.json writes a special token as a string or as an object with its content.
std::optional<std::int32_t> named_token(const JsonView& settings, const char* key,
                                        const TokenizerData& data) {
  const auto field = settings.member(key);
  if (!field) return std::nullopt;
  const std::string name = field->json().is_object() ? field->required("content").text() : field->text();
  const auto found = std::ranges::find(data.tokens, name);
  if (found == data.tokens.end())
    field->fail("'" + name + "' is no token", "give the tokenizer_config.json of this model");
  return static_cast<std::int32_t>(found - data.tokens.begin());
}

/// An id, or a list of ids, as config.json and generation_config.json give eos_token_id.
std::vector<std::int32_t> ids_of(const JsonView& settings, const char* key, const TokenizerData& data) {
  const auto field = settings.member(key);
  if (!field) return {};
  std::vector<std::int32_t> ids;
  for (const JsonView& item : field->json().is_array() ? field->items() : std::vector{*field}) {
    const std::int64_t id = item.length();
    if (static_cast<std::size_t>(id) >= data.tokens.size()) {
      item.fail("is " + std::to_string(id) + ", beyond the vocabulary", "give the files of one model");
    }
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

/// Whether the post-processor, or one of a sequence of them, puts the BOS token before a text.
bool adds_bos(const JsonView& processor, const std::string& bos) {
  std::vector<JsonView> steps = {processor};
  if (const auto chain = processor.member("processors")) steps = chain->items();
  return std::ranges::any_of(steps, [&](const JsonView& step) {
    const auto single = step.member("single");
    if (!single || !single->json().is_array() || single->json().empty()) return false;
    const auto special = single->items().front().member("SpecialToken");
    return special && special->text("id", "") == bos;
  });
}

std::string read_chat_template(const std::filesystem::path& folder, const JsonView& settings) {
  if (std::filesystem::exists(folder / "chat_template.jinja"))
    return read_file(folder / "chat_template.jinja");
  const auto field = settings.member("chat_template");
  if (!field) return "";
  if (!field->json().is_array()) return field->text();
  for (const JsonView& named : field->items()) {
    if (named.text("name", "") == "default") return named.required("template").text();
  }
  return "";
}

}  // namespace

TokenizerData parse_tokenizer_json(const JsonView& file, std::int64_t vocab) {
  const JsonView model = file.required("model");
  const JsonView type = model.required("type");
  if (type.text() != "BPE")
    type.fail("model \"" + type.text() + "\" is not supported", "supported is \"BPE\"");
  if (vocab > kMaxVocab)
    file.fail("a vocabulary of " + std::to_string(vocab), "at most 4194304 are supported");

  TokenizerData data;
  const bool byte_fallback = model.boolean("byte_fallback", false);
  data.model = byte_fallback ? TokenizerData::Model::kSentencePiece : TokenizerData::Model::kBpe;
  data.types.assign(static_cast<std::size_t>(vocab), TokenType::kUnused);
  for (std::int64_t id = 0; id < vocab; ++id) data.tokens.push_back("[PAD" + std::to_string(id) + "]");
  read_vocabulary(model, file, byte_fallback, data);
  data.merges = read_merges(model);
  if (byte_fallback) {
    data.pre = "default";
    data.scores = scores_from_merges(data);
    data.add_space_prefix = prepends_space(file);
    data.merges.clear();
  } else {
    data.pre = pretokenizer_name(file, model.boolean("ignore_merges", false));
  }
  return data;
}

TokenizerData tokenizer_from_hf(const std::filesystem::path& folder, const JsonView& config,
                                std::int64_t vocab) {
  const auto file = read_json(folder / "tokenizer.json");
  if (!file)
    throw InputError("tokenizer.json is missing", folder.string(), "save the model's fast tokenizer there");
  TokenizerData data = parse_tokenizer_json(*file, vocab);

  const auto settings_file = read_json(folder / "tokenizer_config.json");
  const JsonView settings = settings_file ? *settings_file : JsonView::parse("{}", "tokenizer_config.json");
  const auto generation = read_json(folder / "generation_config.json");
  std::vector<std::int32_t> ends;
  if (generation) ends = ids_of(*generation, "eos_token_id", data);
  std::ranges::copy(ids_of(config, "eos_token_id", data), std::back_inserter(ends));
  const auto begins = ids_of(config, "bos_token_id", data);

  data.bos = named_token(settings, "bos_token", data);
  if (!data.bos && !begins.empty()) data.bos = begins.front();
  data.eos = named_token(settings, "eos_token", data);
  if (!data.eos && !ends.empty()) data.eos = ends.front();
  if (const auto unknown = named_token(settings, "unk_token", data)) data.unknown = unknown;
  data.padding = named_token(settings, "pad_token", data);
  data.end_of_turn = std::move(ends);
  complete_end_of_turn(data);

  const auto processor = file->member("post_processor");
  const bool by_template =
      processor && data.bos && adds_bos(*processor, data.tokens[static_cast<std::size_t>(*data.bos)]);
  data.add_bos = settings.boolean("add_bos_token", by_template);
  data.chat_template = read_chat_template(folder, settings);
  return data;
}

}  // namespace stepdown::formats
