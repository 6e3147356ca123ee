#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/formats/gguf_file.h"
#include "engine/formats/gguf_shards.h"
#include "engine/formats/hf_model.h"
#include "engine/formats/model_check.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {
namespace fs = std::filesystem;

const TensorView* ModelFile::find(std::string_view name) const {
  const auto all = tensors();
  const auto found = std::ranges::find(all, name, &TensorView::name);
  return found == all.end() ? nullptr : &*found;
}

std::vector<Adapter> parse_adapters(const std::vector<std::string>& texts) {
  std::vector<Adapter> adapters;
  for (const std::string& text : texts) {
    const std::size_t equals = text.rfind('=');
    Adapter adapter{text.substr(0, equals), 1.0};
    if (equals != std::string::npos) {
      const std::string weight = text.substr(equals + 1);
      const auto [end, error] = std::from_chars(weight.data(), weight.data() + weight.size(), adapter.weight);
      if (error != std::errc() || end != weight.data() + weight.size() || !std::isfinite(adapter.weight)) {
        throw InputError("\"" + weight + "\" is no number", "--adapter " + text, "give PATH or PATH=WEIGHT");
      }
    }
    adapters.push_back(std::move(adapter));
  }
  return adapters;
}

nlohmann::json adapters_json(std::span<const Adapter> adapters) {
  nlohmann::json all = nlohmann::json::array();
  for (const Adapter& adapter : adapters) {
    all.push_back({{"path", adapter.path.string()},
                   {"digest", "sha256:" + artifact_digest(adapter.path)},
                   {"weight", adapter.weight}});
  }
  return all;
}

namespace {

std::unique_ptr<ModelFile> open_any(const fs::path& path, const std::vector<Adapter>& adapters,
                                    Merged merged) {
  if (!fs::exists(path))
    throw InputError("no such model", path.string(), "give a .gguf file or a model directory");
  if (!adapters.empty() && !fs::exists(path / "config.json")) {
    throw InputError("adapters merge into a Hugging Face folder alone", path.string(),
                     "give the base model's folder with config.json and safetensors");
  }
  if (!fs::is_directory(path)) {
    refuse_shard(path);
    return open_gguf({path});
  }
  if (const auto files = gguf_shards(path); !files.empty()) return open_gguf(files);
  if (fs::exists(path / "config.json")) return open_hf(path, adapters, merged);
  if (fs::exists(path / "adapter_config.json")) {
    throw InputError("an adapter alone is no model", path.string(),
                     "give its base model as --model and this folder as --adapter: it is merged before "
                     "anything is written");
  }
  throw InputError(
      "no model here", path.string(),
      "give a directory with one .gguf file, or with config.json, tokenizer.json and safetensors");
}

}  // namespace

std::unique_ptr<ModelFile> open_model(const fs::path& path, const std::vector<Adapter>& adapters,
                                      Merged merged) {
  auto model = open_any(path, adapters, merged);
  const bool gguf = model->format() == "gguf";
  const bool inside = gguf && fs::is_directory(path);
  check_model(model->config(), model->tokenizer(), model->tensors(),
              {inside ? gguf_shards(path).front() : path, gguf});
  return model;
}

}  // namespace stepdown::formats
