#include "engine/formats/inspection.h"

#include <map>
#include <span>

#include <nlohmann/json.hpp>

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

std::uint64_t size_on_disk(const fs::path& path) {
  if (!fs::is_directory(path)) return fs::file_size(path);
  std::uint64_t size = 0;
  for (auto entry = fs::recursive_directory_iterator(path); entry != fs::recursive_directory_iterator();
       ++entry) {
    if (entry->path().filename().string().starts_with('.')) {
      if (entry->is_directory()) entry.disable_recursion_pending();
    } else if (entry->is_regular_file()) {
      size += entry->file_size();
    }
  }
  return size;
}

nlohmann::json config_json(const ModelConfig& config) {
  return {{"name", config.name},
          {"vocab", config.vocab},
          {"layers", config.layers},
          {"hidden", config.hidden},
          {"feedForward", config.feed_forward},
          {"heads", config.heads},
          {"kvHeads", config.kv_heads},
          {"headDim", config.head_dim},
          {"contextLength", config.context_length},
          {"ropeTheta", config.rope_theta},
          {"rmsEps", config.rms_eps},
          {"tiedEmbeddings", config.tied_embeddings}};
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
  const auto model = open_model(path);
  const memory::Shape shape = memory_shape(model->config());
  // All 0 where the cache of the architecture is unknown: the operator refuses what it cannot predict.
  const memory::KvCost kv =
      memory::kv_cost(header_facts(model->gguf_metadata()).attention).value_or(memory::KvCost{});
  std::map<std::string, int> tensors;
  for (const TensorView& tensor : model->tensors()) ++tensors[std::string(dtype_info(tensor.type).name)];
  return {{"digest", "sha256:" + artifact_digest(path)},
          {"format", model->format()},
          {"architecture", model->config().architecture},
          {"config", config_json(model->config())},
          {"size", size_on_disk(path)},
          {"tokenizerDigest", tokenizer_digest(model->tokenizer())},
          {"templateDigest", "sha256:" + sha256_hex(model->tokenizer().chat_template)},
          {"tensors", tensors},
          {"memory",
           {{"weights", weight_bytes(*model)},
            {"kvPerToken", kv.per_token},
            {"kvWindowedPerToken", kv.windowed_per_token},
            {"kvWindow", kv.window},
            {"kvExpandedPerToken", kv.expanded_per_token},
            {"kvHeads", kv.heads},
            {"headDim", kv.head_dim},
            {"kvPerTokenInt8", memory::kv_bytes_per_token(shape, memory::KvType::kInt8)},
            {"repackable", repackable_bytes(*model)},
            {"activations", memory::activation_bytes(shape, kSequences)}}}};
}

}  // namespace stepdown::formats
