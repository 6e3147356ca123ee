#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/error.h"
#include "engine/formats/hf_architecture.h"
#include "engine/formats/hf_tensors.h"
#include "engine/formats/model_check.h"

namespace stepdown::formats {
namespace {

using Shape = std::vector<std::int64_t>;

constexpr const char* kMend = "header and tensors are of different models: convert or download it again";
constexpr std::string_view kLongFactors = "rope_factors_long.weight";
constexpr std::string_view kShortFactors = "rope_factors_short.weight";
constexpr std::array kRopeFactors = {std::string_view("rope_freqs.weight"), kLongFactors, kShortFactors};

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const std::int64_t length : shape) text += (text.empty() ? "" : ", ") + std::to_string(length);
  return "[" + text + "]";
}

/// The shapes that the configuration asks for, by GGUF's names.
std::unordered_map<std::string, Shape> expected_shapes(const ModelConfig& config) {
  std::unordered_map<std::string, Shape> shapes;
  for (HfTensor& tensor : hf_tensors(config)) {
    if (tensor.experts > 0) tensor.shape.insert(tensor.shape.begin(), tensor.experts);
    shapes.emplace(std::move(tensor.gguf), std::move(tensor.shape));
  }
  return shapes;
}

/// What a decoder may have beside: biases of the projections to queries, keys and values.
void add_biases(const ModelConfig& config, std::unordered_map<std::string, Shape>& shapes) {
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".attn_";
    for (const auto& [name, heads] :
         {std::pair{"q", config.heads}, {"k", config.kv_heads}, {"v", config.kv_heads}})
      shapes.emplace(prefix + name + ".bias", Shape{heads * config.head_dim});
  }
}

void check_rope_factors(const TensorView& tensor, const ModelConfig& config, const ModelPlace& place) {
  if (tensor.type != DType::kF32 || tensor.shape != Shape{config.rope_dim / 2})
    throw InputError("holds not one F32 factor for each pair that rotates", place.tensor(tensor.name), kMend);
  for (std::size_t at = 0; at < tensor.data.size(); at += sizeof(float)) {
    float factor = 0.0f;
    std::memcpy(&factor, tensor.data.data() + at, sizeof factor);
    if (std::isfinite(factor) && factor > 0.0f) continue;
    throw InputError("factor " + std::to_string(at / sizeof factor) + " is " + std::to_string(factor) +
                         ", no positive number",
                     place.tensor(tensor.name), kMend);
  }
}

}  // namespace

void check_tensors(const ModelConfig& config, std::span<const TensorView> tensors, const ModelPlace& place) {
  if (!is_known_architecture(config)) return;
  // A lying layer count must not make a list longer than the file can fill.
  if (static_cast<std::uint64_t>(config.layers) > tensors.size()) {
    throw InputError("is " + std::to_string(config.layers) + ", but there are only " +
                         std::to_string(tensors.size()) + " tensors",
                     place.config(config, "block_count", "num_hidden_layers"), kMend);
  }
  auto required = expected_shapes(config);
  if (config.rope_scaling.kind == RopeScaling::Kind::kLong) {
    for (const std::string_view name : {kLongFactors, kShortFactors})
      required.emplace(name, Shape{config.rope_dim / 2});
  }
  auto shapes = required;
  add_biases(config, shapes);
  for (const TensorView& tensor : tensors) {
    required.erase(tensor.name);
    if (std::ranges::find(kRopeFactors, tensor.name) != kRopeFactors.end()) {
      check_rope_factors(tensor, config, place);
      continue;
    }
    const auto wanted = shapes.find(tensor.name);
    if (wanted == shapes.end())
      throw InputError("does not belong to a " + config.architecture + " decoder", place.tensor(tensor.name),
                       "give a plain model, adapters merged");
    if (tensor.shape != wanted->second) {
      throw InputError(
          "has shape " + shape_text(tensor.shape) + ", but the header asks for " + shape_text(wanted->second),
          place.tensor(tensor.name), kMend);
    }
  }
  std::erase_if(required, [](const auto& entry) { return entry.first.ends_with(".bias"); });
  if (required.empty()) return;
  const auto first = std::ranges::min_element(required, {}, [](const auto& entry) { return entry.first; });
  throw InputError("is missing", place.tensor(first->first), kMend);
}

}  // namespace stepdown::formats
