#include "engine/formats/hf_model.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/base/mapped_file.h"
#include "engine/formats/gguf_model.h"
#include "engine/formats/hf_config.h"
#include "engine/formats/hf_tensors.h"
#include "engine/formats/hf_tokenizer.h"
#include "engine/formats/release_pages.h"
#include "engine/formats/safetensors.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

struct Stored {
  TensorView view;
  std::string file;
};
using Checkpoint = std::map<std::string, Stored, std::less<>>;

std::vector<std::string> weight_files(const fs::path& folder) {
  const auto index = read_json(folder / "model.safetensors.index.json");
  if (!index) return {"model.safetensors"};
  std::set<std::string> files;
  const JsonView map = index->required("weight_map");
  for (const auto& [name, unused] : map.json().items()) {
    const JsonView entry = map.required(name);
    const std::string file = entry.text();
    if (file.empty() || file.find('/') != std::string::npos || file.starts_with('.')) {
      entry.fail("\"" + file + "\" is no file of this folder", "the index is damaged");
    }
    files.insert(file);
  }
  return {files.begin(), files.end()};
}

void check_index(const fs::path& folder, const Checkpoint& stored) {
  const auto index = read_json(folder / "model.safetensors.index.json");
  if (!index) return;
  const JsonView map = index->required("weight_map");
  for (const auto& [name, unused] : map.json().items()) {
    const auto found = stored.find(name);
    const JsonView entry = map.required(name);
    if (found == stored.end() || found->second.file != (folder / entry.text()).string()) {
      entry.fail("the tensor is not in " + entry.text(), "copy or download the folder again");
    }
  }
}

std::vector<std::byte> widen_to_f32(const TensorView& tensor) {
  const auto count = static_cast<std::size_t>(tensor.rows() * tensor.columns());
  std::vector<std::byte> result(count * sizeof(float));
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, tensor.data.data() + i * sizeof(bits), sizeof(bits));
    const float value = tensor.type == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    std::memcpy(result.data() + i * sizeof(float), &value, sizeof(float));
  }
  return result;
}

class HfModel final : public ModelFile {
 public:
  explicit HfModel(const fs::path& folder) {
    const auto json = read_json(folder / "config.json");
    if (!json)
      throw InputError("config.json is missing", folder.string(), "give a complete Hugging Face folder");
    HfConfig hf = config_from_hf(*json);
    config_ = std::move(hf.model);
    config_.name = fs::weakly_canonical(folder).filename().string();
    tokenizer_ = tokenizer_from_hf(folder, *json, config_.vocab);
    take_tensors(read_checkpoint(folder), folder);
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
  void release(const TensorView& tensor) const override {
    // Only pages of a file come back by themselves; own memory would read as zeros.
    const auto holds = [&](const MappedFile& file) {
      const auto bytes = file.bytes();
      return tensor.data.data() >= bytes.data() && tensor.data.data() < bytes.data() + bytes.size();
    };
    if (std::ranges::any_of(files_, holds)) release_pages(tensor.data);
  }

 private:
  Checkpoint read_checkpoint(const fs::path& folder) {
    Checkpoint stored;
    for (const std::string& name : weight_files(folder)) {
      const std::string file = (folder / name).string();
      files_.emplace_back(folder / name);
      for (TensorView& view : parse_safetensors(files_.back().bytes(), file)) {
        std::string tensor = view.name;
        if (!stored.emplace(tensor, Stored{std::move(view), file}).second) {
          throw InputError("tensor '" + tensor + "' occurs in two files", file, "remove stray shards");
        }
      }
    }
    check_index(folder, stored);
    return stored;
  }

  void take_tensors(Checkpoint stored, const fs::path& folder) {
    // A lying layer count must not make a list longer than the checkpoint can fill.
    if (static_cast<std::uint64_t>(config_.layers) > stored.size()) {
      throw InputError("num_hidden_layers is " + std::to_string(config_.layers) + ", but there are only " +
                           std::to_string(stored.size()) + " tensors",
                       (folder / "config.json").string(), "give the config.json of this checkpoint");
    }
    for (const HfTensor& expected : hf_tensors(config_)) {
      const auto found = stored.find(expected.hf);
      if (found == stored.end()) {
        throw InputError("tensor '" + expected.hf + "' is missing", folder.string(),
                         "give the complete checkpoint");
      }
      take_tensor(expected, found->second);
      stored.erase(found);
    }
    for (const auto& [name, tensor] : stored) {
      if (hf_tensor_is_redundant(name, config_)) continue;
      throw InputError("tensor '" + name + "' does not belong to a " + config_.architecture + " decoder",
                       tensor.file, "give a plain checkpoint, adapters merged");
    }
  }

  void take_tensor(const HfTensor& expected, const Stored& stored) {
    TensorView view = stored.view;
    const std::string where = stored.file + ": tensor '" + expected.hf + "'";
    if (view.shape != expected.shape) {
      throw InputError("its shape is not what config.json asks for", where,
                       "give the config.json of this checkpoint");
    }
    if (view.type != DType::kF32 && view.type != DType::kF16 && view.type != DType::kBF16) {
      throw InputError("type " + std::string(dtype_info(view.type).name) + " is not supported", where,
                       "supported are F32, F16 and BF16");
    }
    view.name = expected.gguf;
    if (expected.permuted_heads > 0) {
      own(view, permute_rope_rows(view, expected.permuted_heads));
    } else if (view.shape.size() == 1 && view.type != DType::kF32) {
      auto widened = widen_to_f32(view);
      view.type = DType::kF32;
      own(view, std::move(widened));
    } else {
      tensors_.push_back(std::move(view));
    }
  }

  void own(TensorView view, std::vector<std::byte> bytes) {
    owned_.push_back(std::move(bytes));
    view.data = owned_.back();
    tensors_.push_back(std::move(view));
  }

  std::vector<MappedFile> files_;
  std::vector<std::vector<std::byte>> owned_;  ///< inner buffers do not move when the outer vector grows
  std::vector<TensorView> tensors_;
  ModelConfig config_;
  TokenizerData tokenizer_;
};

}  // namespace

std::unique_ptr<ModelFile> open_hf(const fs::path& folder) {
  return std::make_unique<HfModel>(folder);
}

}  // namespace stepdown::formats
