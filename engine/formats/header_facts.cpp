#include "engine/formats/header_facts.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/formats/gguf_header.h"
#include "engine/formats/gguf_shards.h"
#include "engine/formats/hf_architecture.h"
#include "engine/formats/quantized/layout.h"
#include "engine/memory/saturating.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

std::int64_t length(const JsonView& config, const char* key, std::int64_t fallback = 0) {
  const auto found = config.member(key);
  return found && found->json().is_number_integer() ? found->length() : fallback;
}

/// Of the first of `keys` that is there: what one thing is called in different families.
std::int64_t length(const JsonView& config, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (config.has(key)) return length(config, key);
  }
  return 0;
}

/// Falcon's multi_query keeps one head, unless its decoder is the new one (transformers:
/// configuration_falcon.py).
std::int64_t kv_heads(const JsonView& config, std::int64_t heads) {
  const bool new_falcon = config.boolean("new_decoder_architecture", false);
  if (config.boolean("multi_query", false) && !new_falcon) return 1;
  return length(config, "num_key_value_heads", length(config, "num_kv_heads", heads));
}

/// NVIDIA's, as its hf_quant_config.json names them too.
std::string modelopt_format(const JsonView& quantized) {
  const std::string algorithm = quantized.text("quant_algo", "");
  if (algorithm.starts_with("FP8")) return "fp8";
  if (algorithm == "NVFP4") return "nvfp4";
  if (algorithm == "W4A8_AWQ") return "w4a8";
  return algorithm == "W4A16_AWQ" ? "awq" : "modelopt";
}

/// quantization_config as its writers fill it: transformers, AutoAWQ, GPTQModel, llm-compressor, ModelOpt.
std::string quantized_format(const JsonView& config) {
  const auto quantized = config.member("quantization_config");
  if (!quantized) return "safetensors";
  const std::string method = quantized->text("quant_method", "");
  if (method == "gptq") return quantized->text("checkpoint_format", "") == "gptq_v2" ? "gptq-v2" : "gptq";
  if (method == "modelopt") return modelopt_format(*quantized);
  if (method != "compressed-tensors") return method.empty() ? "quantized" : method;
  const std::string format = quantized->text("format", "");
  if (format == "float-quantized" || format == "naive-quantized") return "fp8";
  if (format == "int-quantized") return "w8a8";
  if (format == "nvfp4-pack-quantized") return "nvfp4";
  return format == "pack-quantized" ? "w4a16" : method;
}

constexpr std::int64_t kGemmaHead = 256;  // transformers: of Gemma's configurations, where they name none

/// Files of Gemma 3 leave out what transformers' Gemma3TextConfig takes for granted.
void take_defaults(HeaderFacts& facts) {
  if (facts.architecture != "gemma3_text" && facts.architecture != "gemma3") return;
  memory::Shape& shape = facts.shape;
  const auto take = [](std::int64_t& value, std::int64_t granted) { value = value > 0 ? value : granted; };
  take(shape.heads, 8);
  take(shape.kv_heads, 4);
  take(shape.vocab, 262208);
  take(facts.context_length, 131072);
}

/// config.json's own list of what each layer is; without one the architecture's habit counts.
void read_layer_types(const JsonView& config, memory::AttentionHeader& attention) {
  const auto types = config.member("layer_types");
  if (!types) return;
  attention.lists_layers = true;
  for (const JsonView& type : types->items()) {
    const std::string name = type.text();
    if (name == "sliding_attention" || name == "chunked_attention")
      ++attention.window_layers;
    else if (name != "full_attention")
      attention.foreign_layers = true;
  }
}

struct Tensors {
  std::int64_t bytes = 0;
  std::int64_t elements = 0;
};

[[noreturn]] void damaged(const fs::path& file, const std::string& what) {
  throw InputError(what, file.string(), "fetch the model anew");
}

Tensors safetensors_of(const fs::path& file) {
  constexpr std::uint64_t kLongestHeader = 100'000'000;  // the format's own limit
  std::ifstream in(file, std::ios::binary);
  std::uint64_t length = 0;
  in.read(reinterpret_cast<char*>(&length), sizeof length);
  const std::uint64_t size = fs::file_size(file);
  if (!in || length > size || size - length < sizeof length || length > kLongestHeader)
    damaged(file, "is no safetensors file");
  Tensors out{.bytes = static_cast<std::int64_t>(size - length - sizeof length)};
  std::string header(length, '\0');
  in.read(header.data(), static_cast<std::streamsize>(length));
  const JsonView tensors = JsonView::parse(header, file.string());
  for (const auto& [name, value] : tensors.json().items()) {
    if (name == "__metadata__") continue;
    const JsonView tensor = tensors.required(name);
    std::int64_t elements = 1;
    for (const JsonView& each : tensor.required("shape").items())
      elements = memory::product({elements, each.length()});
    out.elements = memory::sum({out.elements, elements});
    const auto offsets = tensor.required("data_offsets").items();
    if (offsets.size() != 2 || offsets[1].number() > static_cast<double>(out.bytes))
      damaged(file, "is cut short: tensor '" + name + "' ends behind it");
  }
  if (out.elements == 0) damaged(file, "holds no tensors");
  return out;
}

/// The files of an index; empty where there is none.
std::set<std::string> indexed_files(const JsonView& index) {
  std::set<std::string> files;
  const auto map = index.member("weight_map");
  if (!map || !map->json().is_object()) return files;
  for (const auto& [tensor, file] : map->json().items()) {
    if (file.is_string() && file.get<std::string>().find('/') == std::string::npos) files.insert(file);
  }
  return files;
}

/// What an index says of files that are not there: enough to plan with.
Tensors total_of(const JsonView& index, std::int64_t element_size) {
  const auto metadata = index.member("metadata");
  const double total = metadata ? metadata->number("total_size", 0) : 0;
  if (!(total > 0 && total < 9e15)) return {};
  const auto bytes = static_cast<std::int64_t>(total);
  return {bytes, bytes / element_size};
}

Tensors sum_of(const std::set<std::string>& files, const fs::path& folder) {
  Tensors out;
  for (const std::string& each : files) {
    const Tensors one = safetensors_of(folder / each);
    out = {memory::sum({out.bytes, one.bytes}), memory::sum({out.elements, one.elements})};
  }
  return out;
}

Tensors safetensors_in(const fs::path& folder, std::int64_t element_size) {
  std::set<std::string> files;
  if (const auto index = read_json(folder / "model.safetensors.index.json")) {
    files = indexed_files(*index);
    const bool there =
        std::ranges::all_of(files, [&](const auto& each) { return fs::exists(folder / each); });
    if (files.empty() || !there) {
      if (const Tensors total = total_of(*index, element_size); total.bytes > 0) return total;
    }
  }
  if (files.empty() && fs::exists(folder / "model.safetensors")) files = {"model.safetensors"};
  const bool named = !files.empty();
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!named && entry.path().extension() == ".safetensors") files.insert(entry.path().filename().string());
  }
  if (files.empty()) throw InputError("holds no safetensors", folder.string(), "fetch the whole model");
  return sum_of(files, folder);
}

std::int64_t element_size(const JsonView& config) {
  return config.text("dtype", config.text("torch_dtype", "")) == "float32" ? 4 : 2;
}

class GgufKeys {
 public:
  GgufKeys(const GgufMetadata& metadata, std::string prefix)
      : metadata_(metadata), prefix_(std::move(prefix)) {}

  const GgufValue* find(const std::string& key) const {
    const auto found = metadata_.find(prefix_ + key);
    return found == metadata_.end() ? nullptr : &found->second;
  }
  /// Per-layer lists count by their largest.
  std::int64_t length(const std::string& key, std::int64_t fallback = 0) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return fallback;
    if (const auto list = value->integers(); list && !list->empty()) return *std::ranges::max_element(*list);
    return value->integer().value_or(fallback);
  }

 private:
  const GgufMetadata& metadata_;
  std::string prefix_;
};

/// What llama.cpp takes where a file does not say it: src/models/gemma2.cpp and llama4.cpp.
std::int64_t default_window(const std::string& architecture) {
  if (architecture == "gemma2") return 4096;
  return architecture == "llama4" ? 8192 : 0;
}

/// A layer's kind each, or one number: the period of those that keep every token.
void read_layer_pattern(const GgufKeys& keys, memory::AttentionHeader& attention) {
  const GgufValue* pattern = keys.find("attention.sliding_window_pattern");
  if (pattern == nullptr) return;
  if (const auto slides = pattern->booleans()) {
    attention.lists_layers = true;
    attention.window_layers = std::ranges::count(*slides, true);
  } else {
    attention.period = std::max<std::int64_t>(0, pattern->integer().value_or(0));
  }
}

HeaderFacts gguf_facts(const std::vector<fs::path>& shards) {
  HeaderFacts facts;
  for (const fs::path& file : shards) {
    const MappedFile mapped(file);
    const GgufHeader header = parse_gguf(mapped.bytes(), file.string());
    if (file == shards.front()) facts = header_facts(header.metadata);
    for (const TensorView& tensor : header.tensors) {
      facts.weights += static_cast<std::int64_t>(tensor.data.size());
      facts.parameters += memory::product({tensor.rows(), tensor.columns()});
      if (tensor.name == "token_embd.weight") facts.shape.vocab = tensor.rows();
    }
  }
  return facts;
}

/// Those of the model at `path`; empty for a Hugging Face folder.
std::vector<fs::path> gguf_files(const fs::path& path) {
  if (!fs::exists(path))
    throw InputError("no such model", path.string(), "give a .gguf file or a model folder");
  if (fs::is_directory(path)) return gguf_shards(path);
  refuse_shard(path);
  return {path};
}

JsonView config_of(const fs::path& folder) {
  auto config = read_json(folder / "config.json");
  if (!config)
    throw InputError("no model here", folder.string(), "give a folder with a .gguf file or config.json");
  return *config;
}

}  // namespace

HeaderFacts header_facts(const JsonView& whole) {
  // Models of text and images keep the decoder's part apart.
  const JsonView config = whole.member("text_config").value_or(whole);
  HeaderFacts facts;
  facts.format = quantized_format(whole);
  facts.architecture = config.text("model_type", whole.text("model_type", ""));
  facts.context_length = length(config, {"max_position_embeddings", "n_positions"});
  facts.shape = {.layers = length(config, {"num_hidden_layers", "num_layers", "n_layer"}),
                 .hidden = length(config, {"hidden_size", "n_embd"}),
                 .feed_forward = length(config, {"intermediate_size", "ffn_hidden_size", "n_inner"}),
                 .heads = length(config, {"num_attention_heads", "n_head"}),
                 .vocab = length(config, "vocab_size")};
  memory::Shape& shape = facts.shape;
  shape.kv_heads = kv_heads(config, shape.heads);
  take_defaults(facts);
  const std::int64_t even = shape.heads > 0 ? shape.hidden / shape.heads : 0;
  shape.head_dim = length(config, "head_dim", facts.architecture.starts_with("gemma") ? kGemmaHead : even);
  // Latent attention has keys of two parts; engines that expand it pad values to their width.
  if (const std::int64_t plain = length(config, "qk_nope_head_dim"); plain > 0)
    shape.head_dim = std::max(plain + length(config, "qk_rope_head_dim"), length(config, "v_head_dim"));
  facts.attention = {.architecture = facts.architecture,
                     .layers = shape.layers,
                     .kv_heads = shape.kv_heads,
                     .key_dim = shape.head_dim,
                     .value_dim = shape.head_dim,
                     .window = length(config, "sliding_window", length(config, "attention_chunk_size")),
                     .period = length(config, "sliding_window_pattern"),
                     .latent_dim = length(config, "kv_lora_rank"),
                     .rope_dim = length(config, "qk_rope_head_dim"),
                     .shared_layers = length(config, "num_kv_shared_layers")};
  facts.intermediate = length(config, "moe_intermediate_size", shape.feed_forward);
  read_layer_types(config, facts.attention);
  return facts;
}

HeaderFacts header_facts(const GgufMetadata& metadata) {
  HeaderFacts facts;
  facts.format = "gguf";
  facts.architecture = GgufKeys(metadata, "general.").find("architecture") != nullptr
                           ? GgufKeys(metadata, "general.").find("architecture")->text().value_or("")
                           : "";
  const GgufKeys keys(metadata, facts.architecture + ".");
  facts.context_length = keys.length("context_length");
  facts.shape = {.layers = keys.length("block_count"),
                 .hidden = keys.length("embedding_length"),
                 .feed_forward = keys.length("feed_forward_length"),
                 .heads = keys.length("attention.head_count"),
                 .vocab = keys.length("vocab_size")};
  memory::Shape& shape = facts.shape;
  shape.kv_heads = keys.length("attention.head_count_kv", shape.heads);
  shape.head_dim = keys.length("attention.key_length", shape.heads > 0 ? shape.hidden / shape.heads : 0);
  facts.attention = {.architecture = facts.architecture,
                     .layers = shape.layers,
                     .kv_heads = shape.kv_heads,
                     .key_dim = shape.head_dim,
                     .value_dim = keys.length("attention.value_length", shape.head_dim),
                     .window = keys.length("attention.sliding_window", default_window(facts.architecture)),
                     .latent_dim = keys.length("attention.kv_lora_rank"),
                     .rope_dim = keys.length("rope.dimension_count"),
                     // Converted before llama.cpp could attend over the latent (pull request 12801).
                     .latent_is_expanded = keys.find("attention.key_length_mla") == nullptr,
                     .shared_layers = keys.length("attention.shared_kv_layers")};
  facts.intermediate = keys.length("expert_feed_forward_length", shape.feed_forward);
  read_layer_pattern(keys, facts.attention);
  return facts;
}

HeaderFacts read_header_facts(const fs::path& path) {
  if (const auto shards = gguf_files(path); !shards.empty()) return gguf_facts(shards);
  const JsonView config = config_of(path);
  HeaderFacts facts = header_facts(config);
  const Tensors tensors = safetensors_in(path, element_size(config));
  facts.weights = tensors.bytes;
  if (facts.format == "safetensors") facts.parameters = tensors.elements;
  return facts;
}

bool has_reader(const fs::path& path) {
  if (!fs::exists(path)) return true;
  const auto shards = gguf_files(path);
  if (shards.empty()) {
    if (!fs::exists(path / "config.json")) return true;
    const JsonView config = config_of(path);
    const auto quantized = config.member("quantization_config");
    return reads_model_type(config.text("model_type", "")) &&
           (!quantized || reads_layout(quantized->text("quant_method", "")));
  }
  const MappedFile mapped(shards.front());
  const GgufHeader header = parse_gguf(mapped.bytes(), shards.front().string());
  return reads_gguf_architecture(header_facts(header.metadata).architecture);
}

}  // namespace stepdown::formats
