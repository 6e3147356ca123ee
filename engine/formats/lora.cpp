#include "engine/formats/lora.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/base/mapped_file.h"
#include "engine/formats/json_view.h"
#include "engine/formats/safetensors.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMend = "merge it with PEFT (merge_and_unload) and give the merged model";
constexpr std::string_view kA = ".lora_A.weight";
constexpr std::string_view kB = ".lora_B.weight";

void check_mergeable(const TensorView& tensor, const std::string& file) {
  if (tensor.type == DType::kF32 || tensor.type == DType::kF16 || tensor.type == DType::kBF16) return;
  throw InputError("tensor '" + tensor.name + "' is " + std::string(dtype_info(tensor.type).name) +
                       ": adapters merge into F32, F16 or BF16 weights alone",
                   file, "give the base model that is not quantized");
}

std::vector<float> floats_of(const TensorView& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.rows() * tensor.columns()));
  if (tensor.type == DType::kF32) {
    std::memcpy(values.data(), tensor.data.data(), values.size() * sizeof(float));
    return values;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, tensor.data.data() + i * sizeof(bits), sizeof(bits));
    values[i] = tensor.type == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
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

/// One adapter's part in a weight: scale · B·A, in an adapter's file that is open as long as this is.
struct Change {
  TensorView a, b;
  double scale;
  std::shared_ptr<const MappedFile> file;
};

/// What becomes of a module's weight.
struct MergedModule {
  TensorView start;                        ///< the base's, or an adapter's that was trained and saved whole
  std::shared_ptr<const MappedFile> file;  ///< of that adapter
  std::vector<Change> changes;
};
using MergedModules = std::map<std::string, MergedModule>;

/// values += scale · B·A.
void add_product(std::vector<float>& values, const Change& change) {
  const std::vector<float> left = floats_of(change.b);
  const std::vector<float> right = floats_of(change.a);
  const auto rows = static_cast<std::size_t>(change.b.rows());
  const auto rank = static_cast<std::size_t>(change.b.columns());
  const auto columns = static_cast<std::size_t>(change.a.columns());
  for (std::size_t row = 0; row < rows; ++row) {
    float* out = values.data() + row * columns;
    for (std::size_t k = 0; k < rank; ++k) {
      const auto factor = static_cast<float>(change.scale * static_cast<double>(left[row * rank + k]));
      for (std::size_t i = 0; i < columns; ++i) out[i] += factor * right[k * columns + i];
    }
  }
}

void write(const std::vector<float>& values, DType type, std::span<std::byte> out) {
  if (type == DType::kF32) {
    std::memcpy(out.data(), values.data(), out.size());
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = type == DType::kF16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
    std::memcpy(out.data() + i * sizeof(bits), &bits, sizeof(bits));
  }
}

void add_adapter(const HfCheckpoint& checkpoint, const fs::path& adapter, double weight,
                 MergedModules& modules) {
  const auto json = read_json(adapter / "adapter_config.json");
  if (!json)
    throw InputError("adapter_config.json is missing", adapter.string(), "give a PEFT adapter's folder");
  const Settings settings(*json);
  const std::string file = (adapter / "adapter_model.safetensors").string();
  const auto mapped = std::make_shared<const MappedFile>(file);
  const std::vector<TensorView> tensors = parse_safetensors(mapped->bytes(), file);
  const auto module_in_base = [&](const std::string& module) -> MergedModule& {
    const TensorView* base = checkpoint.find(module + ".weight");
    if (base == nullptr) {
      throw InputError("adapts '" + module + "', which the base model has not", file,
                       "give the adapter's own base model");
    }
    return modules.try_emplace(module, MergedModule{*base, nullptr, {}}).first->second;
  };
  for (const TensorView& a : tensors) {
    if (a.name.ends_with(kB)) continue;
    if (!a.name.ends_with(kA)) {  // a module trained and saved whole
      if (!a.name.ends_with(".weight"))
        throw InputError("tensor '" + a.name + "' is not supported", file, kMend);
      MergedModule& module = module_in_base(module_of(a.name, ".weight"));
      if (module.start.shape != a.shape)
        throw InputError("tensor '" + a.name + "' has another shape than the base's", file, kMend);
      check_mergeable(a, file);
      module = {a, mapped, {}};
      continue;
    }
    const std::string name = module_of(a.name, kA);
    const TensorView* b = find(tensors, a.name.substr(0, a.name.size() - kA.size()) + std::string(kB));
    MergedModule& module = module_in_base(name);
    const auto rank = static_cast<std::int64_t>(settings.rank(name));
    if (b == nullptr || a.shape != std::vector<std::int64_t>{rank, module.start.columns()} ||
        b->shape != std::vector<std::int64_t>{module.start.rows(), rank}) {
      throw InputError(
          "the factors of '" + name + "' do not fit rank " + std::to_string(rank) + " and the base's shape",
          file, "give the adapter's own base model");
    }
    for (const TensorView& tensor : {module.start, a, *b}) check_mergeable(tensor, file);
    module.changes.push_back({a, *b, weight * settings.scale(name), mapped});
  }
}

}  // namespace

void merge_adapters(HfCheckpoint& checkpoint, const std::vector<Adapter>& adapters, Merged merged) {
  MergedModules modules;
  for (const Adapter& adapter : adapters) add_adapter(checkpoint, adapter.path, adapter.weight, modules);
  for (auto& [name, module] : modules) {
    const std::string weight = name + ".weight";
    const DType type = merged == Merged::kAsBase ? checkpoint.find(weight)->type : DType::kF32;
    checkpoint.replace(weight, type, [&checkpoint, type, module = std::move(module)](auto out) {
      std::vector<float> values = floats_of(module.start);
      if (module.file == nullptr) checkpoint.release(module.start);
      for (const Change& change : module.changes) add_product(values, change);
      write(values, type, out);
    });
  }
}

}  // namespace stepdown::formats
