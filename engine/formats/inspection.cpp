#include "engine/formats/inspection.h"

#include <span>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/hash.h"
#include "engine/formats/header_facts.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kSequences = 4;  // the server's default

/// Hashes fields so that no two different lists of them look alike.
class FieldHash {
 public:
  void add(std::string_view text) {
    add(static_cast<std::int64_t>(text.size()));
    hash_.update(text);
  }
  void add(std::int64_t number) { hash_.update(std::as_bytes(std::span(&number, 1))); }
  void add(std::optional<std::int32_t> id) { add(std::int64_t{id.value_or(-1)}); }
  void add(std::span<const std::string> texts) {
    add(static_cast<std::int64_t>(texts.size()));
    for (const std::string& text : texts) add(std::string_view(text));
  }
  template <typename T>
  void add_plain(std::span<const T> values) {
    add(static_cast<std::int64_t>(values.size()));
    hash_.update(std::as_bytes(values));
  }
  std::string text() { return "sha256:" + hash_.hex(); }

 private:
  Sha256 hash_;
};

/// Of a tokenizer that only other engines read: over its files.
std::string tokenizer_files_digest(const fs::path& folder) {
  FieldHash hash;
  for (const char* name :
       {"tokenizer.json", "tokenizer.model", "tiktoken.model", "vocab.json", "merges.txt"}) {
    if (!fs::exists(folder / name)) continue;
    hash.add(std::string_view(name));
    hash.add(std::string_view(sha256_file(folder / name)));
  }
  return hash.text();
}

std::string chat_template_of(const fs::path& folder) {
  if (fs::exists(folder / "chat_template.jinja")) return read_file(folder / "chat_template.jinja");
  const auto config = read_json(folder / "tokenizer_config.json");
  const auto found = config ? config->member("chat_template") : std::nullopt;
  return found ? found->json().dump() : "";
}

/// What headers tell of any model.
nlohmann::json header_json(const fs::path& path, const HeaderFacts& facts) {
  const memory::Shape& shape = facts.shape;
  // All 0 where the cache of the architecture is unknown: the operator refuses what it cannot predict.
  const memory::KvCost kv = memory::kv_cost(facts.attention).value_or(memory::KvCost{});
  return {{"digest", "sha256:" + artifact_digest(path)},
          {"format", facts.format},
          {"architecture", facts.architecture},
          {"parameters", facts.parameters},
          {"size", pinned_bytes(path)},
          {"config",
           {{"vocab", shape.vocab},
            {"layers", shape.layers},
            {"hidden", shape.hidden},
            {"feedForward", facts.intermediate},
            {"heads", shape.heads},
            {"kvHeads", shape.kv_heads},
            {"headDim", shape.head_dim},
            {"contextLength", facts.context_length}}},
          {"memory",
           {{"weights", facts.weights},
            {"kvPerToken", kv.per_token},
            {"kvWindowedPerToken", kv.windowed_per_token},
            {"kvWindow", kv.window},
            {"kvExpandedPerToken", kv.expanded_per_token},
            {"kvHeads", kv.heads},
            {"headDim", kv.head_dim},
            {"repackable", 0},
            {"activations", memory::activation_bytes(shape, kSequences)}}}};
}

/// What the engine itself takes of it, and how.
void add_opened(nlohmann::json& found, const ModelFile& model) {
  const ModelConfig& config = model.config();
  found["architecture"] = config.architecture;
  found["config"].update({{"name", config.name},
                          {"ropeTheta", config.rope_theta},
                          {"rmsEps", config.rms_eps},
                          {"tiedEmbeddings", config.tied_embeddings}});
  for (const TensorView& tensor : model.tensors()) {
    nlohmann::json& count = found["tensors"][std::string(dtype_info(tensor.type).name)];
    count = count.is_null() ? 1 : count.get<int>() + 1;
  }
  found["tokenizerDigest"] = tokenizer_digest(model.tokenizer());
  found["templateDigest"] = "sha256:" + sha256_hex(model.tokenizer().chat_template);
  found["memory"]["weights"] = weight_bytes(model);
  found["memory"]["repackable"] = repackable_bytes(model);
  found["memory"]["activations"] = memory::activation_bytes(memory_shape(config), kSequences);
}

}  // namespace

memory::Shape memory_shape(const ModelConfig& config) {
  return {config.layers,   config.hidden,   config.feed_forward, config.heads,
          config.kv_heads, config.head_dim, config.vocab};
}

std::int64_t weight_bytes(const ModelFile& model) {
  std::int64_t bytes = 0;
  for (const TensorView& tensor : model.tensors()) bytes += static_cast<std::int64_t>(tensor.data.size());
  return bytes;
}

std::int64_t repackable_bytes(const ModelFile& model) {
  std::int64_t bytes = 0;
  for (const TensorView& tensor : model.tensors()) {
    const bool four_bits =
        tensor.type == DType::kQ4_0 || tensor.type == DType::kQ4_K || tensor.type == DType::kIQ4_NL;
    if (four_bits && tensor.name != "token_embd.weight")
      bytes += static_cast<std::int64_t>(tensor.data.size());
  }
  return bytes;
}

std::string tokenizer_digest(const TokenizerData& tokenizer) {
  FieldHash hash;
  hash.add(static_cast<std::int64_t>(tokenizer.model));
  hash.add(std::string_view(tokenizer.pre));
  hash.add(std::span<const std::string>(tokenizer.tokens));
  hash.add_plain(std::span<const TokenizerData::TokenType>(tokenizer.types));
  const bool scored = tokenizer.model == TokenizerData::Model::kSentencePiece;
  if (scored) hash.add_plain(std::span<const float>(tokenizer.scores));
  if (!scored) hash.add(std::span<const std::string>(tokenizer.merges));
  for (const auto id : {tokenizer.bos, tokenizer.eos, tokenizer.unknown, tokenizer.padding}) hash.add(id);
  hash.add(std::int64_t{tokenizer.add_bos});
  hash.add(std::int64_t{tokenizer.add_space_prefix});
  return hash.text();
}

nlohmann::json inspect(const fs::path& path) {
  const auto model = has_reader(path) ? open_model(path) : nullptr;
  nlohmann::json found = header_json(path, read_header_facts(path));
  found["served"] = model != nullptr;
  if (model) {
    add_opened(found, *model);
  } else if (fs::is_directory(path)) {
    found["tokenizerDigest"] = tokenizer_files_digest(path);
    found["templateDigest"] = "sha256:" + sha256_hex(chat_template_of(path));
  }
  return found;
}

}  // namespace stepdown::formats
