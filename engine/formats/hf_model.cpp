#include "engine/formats/hf_model.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/formats/gguf_model.h"
#include "engine/formats/hf_checkpoint.h"
#include "engine/formats/hf_config.h"
#include "engine/formats/hf_tensors.h"
#include "engine/formats/hf_tokenizer.h"
#include "engine/formats/lora.h"
#include "engine/formats/model_check.h"
#include "engine/formats/quantized/layout.h"
#include "engine/formats/release_pages.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

using Stored = HfCheckpoint::Stored;

std::vector<std::byte> widen_to_f32(const TensorView& tensor) {
  const auto count = static_cast<std::size_t>(tensor.rows() * tensor.columns());
  std::vector<std::byte> result(count * sizeof(float));
  if (tensor.type == DType::kF32) std::memcpy(result.data(), tensor.data.data(), result.size());
  for (std::size_t i = 0; i < count && tensor.type != DType::kF32; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, tensor.data.data() + i * sizeof(bits), sizeof(bits));
    const float value = tensor.type == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    std::memcpy(result.data() + i * sizeof(float), &value, sizeof(float));
  }
  return result;
}

void add_one(std::vector<std::byte>& floats) {
  for (std::size_t at = 0; at < floats.size(); at += sizeof(float)) {
    float value = 0.0f;
    std::memcpy(&value, floats.data() + at, sizeof value);
    value += 1.0f;
    std::memcpy(floats.data() + at, &value, sizeof value);
  }
}

bool is_plain(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

/// What config.json says its weights were before they were quantized: loaders give them back so.
DType element_type(const JsonView& config) {
  const std::string name = config.text("dtype", config.text("torch_dtype", "float16"));
  if (name == "bfloat16") return DType::kBF16;
  return name == "float32" ? DType::kF32 : DType::kF16;
}

class HfModel final : public ModelFile {
 public:
  HfModel(const fs::path& folder, const std::vector<Adapter>& adapters, Merged merged) : checkpoint_(folder) {
    const auto json = read_json(folder / "config.json");
    if (!json)
      throw InputError("config.json is missing", folder.string(), "give a complete Hugging Face folder");
    HfConfig hf = config_from_hf(*json);
    config_ = std::move(hf.model);
    check_config(config_, {folder, false});  // before memory is asked for by its lengths
    config_.name = fs::weakly_canonical(folder).filename().string();
    tokenizer_ = tokenizer_from_hf(folder, *json, config_.vocab);
    if (const auto settings = json->member("quantization_config")) {
      read_weight_ = quantized_layout(*settings);
      plain_type_ = element_type(*json);
    }
    merge_adapters(checkpoint_, adapters, merged);
    take_tensors(folder);
    if (!hf.rope_factors.empty()) {
      const auto bytes = std::as_bytes(std::span(hf.rope_factors));
      own({"rope_freqs.weight", DType::kF32, {static_cast<std::int64_t>(hf.rope_factors.size())}, {}},
          {bytes.begin(), bytes.end()});
    }
  }

  const ModelConfig& config() const override { return config_; }
  const TokenizerData& tokenizer() const override { return tokenizer_; }
  std::span<const TensorView> tensors() const override { return tensors_; }
  std::string_view format() const override { return "safetensors"; }
  GgufMetadata gguf_metadata() const override { return gguf_from_model(config_, tokenizer_); }
  void prepare(const TensorView& tensor) const override {
    checkpoint_.prepare(tensor);
    lazy_.prepare(tensor.data);
  }
  void release(const TensorView& tensor) const override {
    // Own memory would read as zeros: discard() alone.
    if (lazy_.holds(tensor.data)) release_pages(tensor.data);
    checkpoint_.release(tensor);
  }
  void discard(const TensorView& tensor) const override {
    // Embeddings are read row by row as long as the model serves.
    if (tensor.name != "token_embd.weight") release_pages(tensor.data);
  }

 private:
  void take_tensors(const fs::path& folder) {
    HfCheckpoint::Tensors stored = checkpoint_.tensors();
    // A lying layer count must not make a list longer than the checkpoint can fill.
    if (static_cast<std::uint64_t>(config_.layers) > stored.size()) {
      throw InputError("num_hidden_layers is " + std::to_string(config_.layers) + ", but there are only " +
                           std::to_string(stored.size()) + " tensors",
                       (folder / "config.json").string(), "give the config.json of this checkpoint");
    }
    const std::vector<HfTensor> all = hf_tensors(config_);
    for (const HfTensor& expected : all) {
      if (expected.shape.size() == 1) vectors_.insert(expected.hf);
    }
    for (const HfTensor& expected : all) {
      if (expected.experts > 0) {
        take_experts(expected, stored, folder);
      } else {
        take_tensor(expected, stored, folder);
      }
    }
    for (const auto& [name, tensor] : stored) {
      if (hf_tensor_is_redundant(name, config_)) continue;
      throw InputError("tensor '" + name + "' does not belong to a " + config_.architecture + " decoder",
                       tensor.file, "give a plain checkpoint, adapters merged");
    }
  }

  /// Takes the tensor that is stored plain, or what stands for it in a quantized checkpoint.
  void take_tensor(const HfTensor& expected, HfCheckpoint::Tensors& stored, const fs::path& folder) {
    const auto found = stored.find(expected.hf);
    if (found != stored.end() && is_plain(found->second.view.type)) {
      take_plain(expected, found->second);
      stored.erase(found);
    } else if (read_weight_ && expected.shape.size() == 2) {
      take_quantized(expected, stored, folder);
    } else if (found == stored.end()) {
      throw InputError("tensor '" + expected.hf + "' is missing", folder.string(),
                       "give the complete checkpoint");
    } else {
      throw InputError("type " + std::string(dtype_info(found->second.view.type).name) + " is not supported",
                       found->second.file + ": tensor '" + expected.hf + "'",
                       "supported are F32, F16 and BF16");
    }
  }

  /// One tensor of all experts, as GGUF holds them.
  void take_experts(const HfTensor& expected, HfCheckpoint::Tensors& stored, const fs::path& folder) {
    std::vector<TensorView> experts;
    for (std::int64_t expert = 0; expert < expected.experts; ++expert) {
      HfTensor one = expected;
      one.hf.replace(one.hf.find("{e}"), 3, std::to_string(expert));
      take_tensor(one, stored, folder);
      experts.push_back(std::move(tensors_.back()));
      tensors_.pop_back();
      if (experts.back().type != experts.front().type)
        throw InputError("experts differ in type", folder.string() + ": tensor '" + one.hf + "'",
                         "convert the checkpoint to one type");
    }
    TensorView whole = experts.front();
    whole.shape.insert(whole.shape.begin(), expected.experts);
    std::vector<LazyTensors::Fill> parts;
    for (const TensorView& part : experts) {
      parts.emplace_back([this, part](std::span<std::byte> out) {
        prepare(part);
        std::ranges::copy(part.data, out.begin());
        release(part);
      });
    }
    make(std::move(whole), std::move(parts));
  }

  void take_plain(const HfTensor& expected, const Stored& stored) {
    TensorView view = stored.view;
    if (view.shape != expected.shape) {
      throw InputError("its shape is not what config.json asks for",
                       stored.file + ": tensor '" + expected.hf + "'",
                       "give the config.json of this checkpoint");
    }
    view.name = expected.gguf;
    if (expected.permuted_heads > 0) {
      make(view, {[this, view, heads = expected.permuted_heads](std::span<std::byte> out) {
             prepare(view);
             permute_rope_rows(view, heads, out);
             release(view);
           }});
    } else if (view.shape.size() == 1) {
      prepare(view);
      auto widened = widen_to_f32(view);
      view.type = DType::kF32;
      if (expected.plus_one) add_one(widened);
      own(view, std::move(widened));
    } else if (checkpoint_.is_replaced(view) && view.name == "token_embd.weight") {
      prepare(view);  // its rows are read one by one as long as the model serves
      own(view, {view.data.begin(), view.data.end()});
      release(view);
    } else {
      tensors_.push_back(std::move(view));
    }
  }

  void take_quantized(const HfTensor& expected, HfCheckpoint::Tensors& stored, const fs::path& folder) {
    const std::string module = expected.hf.substr(0, expected.hf.rfind('.') + 1);
    ModuleTensors parts;
    for (auto at = stored.lower_bound(module); at != stored.end() && at->first.starts_with(module);) {
      if (vectors_.contains(at->first)) {  // the module's bias, which has its own turn
        ++at;
        continue;
      }
      const std::string part = at->first.substr(module.size());
      // Scales of activations and of the KV cache are hints to engines that quantize those.
      if (!part.starts_with("input_") && !part.starts_with("output_") && !part.ends_with("_scale_kv")) {
        parts.emplace(part, at->second.view);
      }
      at = stored.erase(at);
    }
    auto read = [this, expected, parts = std::move(parts),
                 where = folder.string() + ": module '" + module + "'"] {
      DenseForm dense =
          read_weight_(ModuleReader(parts, where), expected.shape[0], expected.shape[1], plain_type_);
      if (expected.permuted_heads > 0) {
        std::vector<std::byte> permuted(dense.bytes.size());
        permute_rope_rows({{}, dense.type, expected.shape, dense.bytes}, expected.permuted_heads, permuted);
        dense.bytes = std::move(permuted);
      }
      for (const auto& [name, part] : parts) release(part);
      return dense;
    };
    DenseForm dense = read();
    const TensorView view{expected.gguf, dense.type, expected.shape, {}};
    if (expected.experts == 0) return own(view, std::move(dense.bytes));
    // Experts are copied once more, side by side: both copies of all of them would be in memory.
    make(view, {[read](std::span<std::byte> out) { std::ranges::copy(read().bytes, out.begin()); }});
  }

  void own(TensorView view, std::vector<std::byte> bytes) {
    owned_.push_back(std::move(bytes));
    view.data = owned_.back();
    tensors_.push_back(std::move(view));
  }

  void make(TensorView view, std::vector<LazyTensors::Fill> parts) {
    const auto elements = static_cast<std::size_t>(view.rows() * view.columns());
    const std::size_t part_bytes = row_bytes(view.type, elements).value() / parts.size();
    view.data = lazy_.add(part_bytes, std::move(parts));
    tensors_.push_back(std::move(view));
  }

  HfCheckpoint checkpoint_;
  LazyTensors lazy_;
  std::set<std::string> vectors_;  ///< names of those that the architecture has
  ReadWeight read_weight_;         ///< of a quantized checkpoint
  DType plain_type_ = DType::kF16;
  std::vector<std::vector<std::byte>> owned_;  ///< inner buffers do not move when the outer vector grows
  std::vector<TensorView> tensors_;
  ModelConfig config_;
  TokenizerData tokenizer_;
};

}  // namespace

std::unique_ptr<ModelFile> open_hf(const fs::path& folder, const std::vector<Adapter>& adapters,
                                   Merged merged) {
  return std::make_unique<HfModel>(folder, adapters, merged);
}

}  // namespace stepdown::formats
