#include "engine/formats/lora.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/formats/json_view.h"
#include "engine/formats/safetensors.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMend = "merge it with PEFT (merge_and_unload) and give the merged model";
constexpr std::string_view kA = ".lora_A.weight";
constexpr std::string_view kB = ".lora_B.weight";

std::vector<float> floats_of(const TensorView& tensor, const std::string& file) {
  const auto count = static_cast<std::size_t>(tensor.rows() * tensor.columns());
  std::vector<float> values(count);
  if (tensor.type == DType::kF32) {
    std::memcpy(values.data(), tensor.data.data(), count * sizeof(float));
  } else if (tensor.type == DType::kF16 || tensor.type == DType::kBF16) {
    for (std::size_t i = 0; i < count; ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, tensor.data.data() + i * sizeof(bits), sizeof(bits));
      values[i] = tensor.type == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    }
  } else {
    throw InputError("tensor '" + tensor.name + "' is " + std::string(dtype_info(tensor.type).name) +
                         ": adapters merge into F32, F16 or BF16 weights alone",
                     file, "give the base model that is not quantized");
  }
  return values;
}

/// What adapter_config.json says.
class Settings {
 public:
  explicit Settings(const JsonView& config) : config_(config) {
    if (config.text("peft_type", "") != "LORA") {
      config.fail("adapter of kind \"" + config.text("peft_type", "") + "\" is not supported",
                  "give a LoRA adapter");
    }
    if (config.boolean("use_dora", false)) config.fail("DoRA is not supported", kMend);
    if (config.text("bias", "none") != "none") config.fail("adapters with biases are not supported", kMend);
    if (config.boolean("fan_in_fan_out", false)) config.fail("fan_in_fan_out is not supported", kMend);
  }

  double rank(const std::string& module) const {
    return by_pattern("rank_pattern", module, config_.required("r").number());
  }
  double scale(const std::string& module) const {
    const double alpha = by_pattern("alpha_pattern", module, config_.number("lora_alpha", 8));
    const double r = rank(module);
    return config_.boolean("use_rslora", false) ? alpha / std::sqrt(r) : alpha / r;
  }

 private:
  /// PEFT's patterns name the end of a module's path.
  double by_pattern(const char* key, const std::string& module, double fallback) const {
    const auto patterns = config_.member(key);
    if (!patterns || !patterns->json().is_object()) return fallback;
    for (const auto& [pattern, value] : patterns->json().items()) {
      if (!value.is_number()) patterns->fail("holds what is no number", "the file is damaged");
      if (module == pattern || module.ends_with("." + pattern)) return value.get<double>();
    }
    return fallback;
  }

  JsonView config_;
};

/// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" → "model.layers.0.self_attn.q_proj".
std::string module_of(std::string_view name, std::string_view suffix) {
  constexpr std::string_view kPrefix = "base_model.model.";
  name.remove_suffix(suffix.size());
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  return std::string(name);
}

const TensorView* find(const std::vector<TensorView>& tensors, std::string_view name) {
  const auto found = std::ranges::find(tensors, name, &TensorView::name);
  return found == tensors.end() ? nullptr : &*found;
}

/// values += scale · B·A.
void add_product(std::vector<float>& values, const TensorView& a, const TensorView& b, double scale,
                 const std::string& file) {
  const std::vector<float> left = floats_of(b, file);
  const std::vector<float> right = floats_of(a, file);
  const auto rows = static_cast<std::size_t>(b.rows());
  const auto rank = static_cast<std::size_t>(b.columns());
  const auto columns = static_cast<std::size_t>(a.columns());
  for (std::size_t row = 0; row < rows; ++row) {
    float* out = values.data() + row * columns;
    for (std::size_t k = 0; k < rank; ++k) {
      const auto factor = static_cast<float>(scale * static_cast<double>(left[row * rank + k]));
      for (std::size_t i = 0; i < columns; ++i) out[i] += factor * right[k * columns + i];
    }
  }
}

std::vector<std::byte> rounded(const TensorView& tensor, DType type) {
  std::vector<std::byte> bytes(tensor.data.size() / sizeof(float) * sizeof(std::uint16_t));
  for (std::size_t i = 0; i < bytes.size() / sizeof(std::uint16_t); ++i) {
    float value = 0;
    std::memcpy(&value, tensor.data.data() + i * sizeof(value), sizeof(value));
    const std::uint16_t bits = type == DType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
    std::memcpy(bytes.data() + i * sizeof(bits), &bits, sizeof(bits));
  }
  return bytes;
}

std::vector<std::byte> bytes_of(const std::vector<float>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

void merge_lora(HfCheckpoint& checkpoint, const fs::path& adapter, double weight) {
  const auto json = read_json(adapter / "adapter_config.json");
  if (!json)
    throw InputError("adapter_config.json is missing", adapter.string(), "give a PEFT adapter's folder");
  const Settings settings(*json);
  const std::string file = (adapter / "adapter_model.safetensors").string();
  const MappedFile mapped(file);
  const std::vector<TensorView> tensors = parse_safetensors(mapped.bytes(), file);
  const auto base_of = [&](const std::string& module) -> const TensorView& {
    const TensorView* base = checkpoint.find(module + ".weight");
    if (base == nullptr) {
      throw InputError("adapts '" + module + "', which the base model has not", file,
                       "give the adapter's own base model");
    }
    return *base;
  };
  for (const TensorView& a : tensors) {
    if (a.name.ends_with(kB)) continue;
    if (!a.name.ends_with(kA)) {  // a module trained and saved whole
      if (!a.name.ends_with(".weight"))
        throw InputError("tensor '" + a.name + "' is not supported", file, kMend);
      const std::string module = module_of(a.name, ".weight");
      if (base_of(module).shape != a.shape)
        throw InputError("tensor '" + a.name + "' has another shape than the base's", file, kMend);
      checkpoint.replace(module + ".weight", DType::kF32, bytes_of(floats_of(a, file)));
      continue;
    }
    const std::string module = module_of(a.name, kA);
    const TensorView* b = find(tensors, a.name.substr(0, a.name.size() - kA.size()) + std::string(kB));
    const TensorView& base = base_of(module);
    const auto rank = static_cast<std::int64_t>(settings.rank(module));
    if (b == nullptr || a.shape != std::vector<std::int64_t>{rank, base.columns()} ||
        b->shape != std::vector<std::int64_t>{base.rows(), rank}) {
      throw InputError(
          "the factors of '" + module + "' do not fit rank " + std::to_string(rank) + " and the base's shape",
          file, "give the adapter's own base model");
    }
    std::vector<float> merged = floats_of(base, file);
    add_product(merged, a, *b, weight * settings.scale(module), file);
    checkpoint.replace(module + ".weight", DType::kF32, bytes_of(merged));
  }
}

void merge_adapters(HfCheckpoint& checkpoint, const std::vector<Adapter>& adapters, Merged merged) {
  std::map<std::string, DType> before;
  if (merged == Merged::kAsBase && !adapters.empty()) {
    for (const auto& [name, stored] : checkpoint.tensors()) before.emplace(name, stored.view.type);
  }
  for (const Adapter& adapter : adapters) merge_lora(checkpoint, adapter.path, adapter.weight);
  for (const auto& [name, type] : before) {
    const TensorView& view = *checkpoint.find(name);
    if (view.type != type) checkpoint.replace(name, type, rounded(view, type));
  }
}

}  // namespace stepdown::formats
