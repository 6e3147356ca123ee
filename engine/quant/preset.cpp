#include "engine/quant/preset.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <tuple>

#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

constexpr std::array kPresets = {
    Preset{"Q8_0", 7, 8, DType::kQ8_0},      Preset{"Q6_K", 18, 6, DType::kQ6_K},
    Preset{"Q5_K_M", 17, 5, DType::kQ5_K},   Preset{"Q5_K_S", 16, 5, DType::kQ5_K},
    Preset{"Q5_1", 9, 5, DType::kQ5_1},      Preset{"Q5_0", 8, 5, DType::kQ5_0},
    Preset{"Q4_K_M", 15, 4, DType::kQ4_K},   Preset{"Q4_K_S", 14, 4, DType::kQ4_K},
    Preset{"Q4_1", 3, 4, DType::kQ4_1},      Preset{"Q4_0", 2, 4, DType::kQ4_0},
    Preset{"Q3_K_L", 13, 3, DType::kQ3_K},   Preset{"Q3_K_M", 12, 3, DType::kQ3_K},
    Preset{"Q3_K_S", 11, 3, DType::kQ3_K},   Preset{"Q2_K", 10, 2, DType::kQ2_K},
    Preset{"IQ4_NL", 25, 4, DType::kIQ4_NL}, Preset{"IQ4_XS", 30, 4, DType::kIQ4_XS},
};

enum class Role { kOther, kOutput, kEmbeddings, kAttentionK, kAttentionV, kAttentionOutput, kFfnDown };
enum class Where {
  kAll,
  kEightExperts,
  kOtherwise,
  kMoreBits,
  kFirstTwo,
  kFirstFour,
  kFirstEighth,
  kFirstSixteenth,
  kGroupedQueries
};
enum class Imatrix { kEither, kWith, kWithout };

/// A tensor of `role`, where the condition holds, gets `type` instead of the preset's base. The first rule
/// wins.
struct Rule {
  std::string_view preset;
  Role role;
  Where where;
  DType type;
  Imatrix imatrix = Imatrix::kEither;
};
constexpr std::string_view kAnyPreset = "";  // whose base is a quantized type
constexpr std::array kRules = {
    // A mixture's attention is small beside its experts.
    Rule{kAnyPreset, Role::kAttentionV, Where::kEightExperts, DType::kQ8_0},
    Rule{kAnyPreset, Role::kAttentionK, Where::kEightExperts, DType::kQ8_0},
    Rule{"Q2_K", Role::kAttentionOutput, Where::kEightExperts, DType::kQ5_K},
    Rule{"Q3_K_S", Role::kAttentionOutput, Where::kEightExperts, DType::kQ5_K},
    Rule{"Q3_K_M", Role::kAttentionOutput, Where::kEightExperts, DType::kQ5_K},
    Rule{"Q4_K_S", Role::kAttentionOutput, Where::kEightExperts, DType::kQ5_K},
    Rule{"Q4_K_M", Role::kAttentionOutput, Where::kEightExperts, DType::kQ5_K},
    Rule{"IQ4_NL", Role::kAttentionOutput, Where::kEightExperts, DType::kQ5_K},
    Rule{"IQ4_XS", Role::kAttentionOutput, Where::kEightExperts, DType::kQ5_K},
    Rule{"Q5_K_M", Role::kAttentionV, Where::kMoreBits, DType::kQ6_K},
    Rule{"Q5_K_M", Role::kFfnDown, Where::kMoreBits, DType::kQ6_K},
    Rule{"Q4_K_M", Role::kAttentionV, Where::kMoreBits, DType::kQ6_K},
    Rule{"Q4_K_M", Role::kFfnDown, Where::kMoreBits, DType::kQ6_K},
    Rule{"Q4_K_S", Role::kAttentionV, Where::kFirstFour, DType::kQ5_K},
    Rule{"Q4_K_S", Role::kFfnDown, Where::kFirstEighth, DType::kQ5_K},
    Rule{"Q3_K_L", Role::kAttentionV, Where::kAll, DType::kQ5_K},
    Rule{"Q3_K_L", Role::kFfnDown, Where::kAll, DType::kQ5_K},
    Rule{"Q3_K_L", Role::kAttentionOutput, Where::kOtherwise, DType::kQ5_K},
    Rule{"Q3_K_M", Role::kAttentionV, Where::kFirstTwo, DType::kQ5_K},
    Rule{"Q3_K_M", Role::kAttentionV, Where::kAll, DType::kQ4_K},
    Rule{"Q3_K_M", Role::kFfnDown, Where::kFirstSixteenth, DType::kQ5_K},
    Rule{"Q3_K_M", Role::kFfnDown, Where::kAll, DType::kQ4_K},
    Rule{"Q3_K_M", Role::kAttentionOutput, Where::kOtherwise, DType::kQ4_K},
    Rule{"IQ4_NL", Role::kAttentionV, Where::kGroupedQueries, DType::kQ5_K},
    Rule{"IQ4_NL", Role::kFfnDown, Where::kFirstEighth, DType::kQ5_K, Imatrix::kWithout},
    Rule{"IQ4_XS", Role::kAttentionV, Where::kGroupedQueries, DType::kQ5_K},
    Rule{"IQ4_XS", Role::kFfnDown, Where::kFirstEighth, DType::kQ5_K, Imatrix::kWithout},
    Rule{"Q4_0", Role::kFfnDown, Where::kFirstEighth, DType::kQ4_1, Imatrix::kWith},
    Rule{"Q5_0", Role::kFfnDown, Where::kFirstEighth, DType::kQ5_1, Imatrix::kWith},
    Rule{"Q2_K", Role::kAttentionV, Where::kGroupedQueries, DType::kQ4_K},
    Rule{"Q2_K", Role::kAttentionV, Where::kAll, DType::kQ3_K},
    Rule{"Q2_K", Role::kFfnDown, Where::kAll, DType::kQ3_K},
    Rule{"Q2_K", Role::kAttentionOutput, Where::kOtherwise, DType::kQ3_K},
};

Role role_of(const std::string& name) {
  if (name == "output.weight") return Role::kOutput;
  if (name == "token_embd.weight") return Role::kEmbeddings;
  if (name.ends_with(".attn_k.weight")) return Role::kAttentionK;
  if (name.ends_with(".attn_v.weight") || name.ends_with(".attn_qkv.weight")) return Role::kAttentionV;
  if (name.ends_with(".attn_output.weight")) return Role::kAttentionOutput;
  if (name.ends_with(".ffn_down.weight") || name.ends_with(".ffn_down_exps.weight")) return Role::kFfnDown;
  return Role::kOther;
}

bool holds(Where where, std::int64_t index, std::int64_t count, const formats::ModelConfig& config) {
  switch (where) {
    case Where::kAll:
      return true;
    case Where::kEightExperts:
      return config.experts == 8;
    case Where::kOtherwise:
      return config.experts != 8;
    case Where::kMoreBits:
      return index < count / 8 || index >= 7 * count / 8 || (index - count / 8) % 3 == 2;
    case Where::kFirstTwo:
      return index < 2;
    case Where::kFirstFour:
      return index < 4;
    case Where::kFirstEighth:
      return index < count / 8;
    case Where::kFirstSixteenth:
      return index < count / 16;
    case Where::kGroupedQueries:
      return config.heads / config.kv_heads >= 4;
  }
  return false;
}

bool holds(Imatrix wanted, bool given) {
  return wanted == Imatrix::kEither || (wanted == Imatrix::kWith) == given;
}

DType type_by_rule(const Preset& preset, Role role, std::int64_t index, std::int64_t count,
                   const formats::ModelConfig& config, bool imatrix) {
  const auto* rule = std::ranges::find_if(kRules, [&](const Rule& row) {
    return (row.preset == preset.name || row.preset == kAnyPreset) && row.role == role &&
           holds(row.where, index, count, config) && holds(row.imatrix, imatrix);
  });
  const DType type = rule == kRules.end() ? preset.base : rule->type;
  // In Llama 2 70B eight query heads share one attn_v, small enough for more bits; llama.cpp knows models of
  // its size by their layers.
  const bool large_grouped =
      config.layers == 80 &&
      (config.architecture == "qwen2" || (config.architecture == "llama" && config.heads != config.kv_heads));
  if (role == Role::kAttentionV && large_grouped && (type == DType::kQ3_K || type == DType::kQ4_K))
    return DType::kQ5_K;
  return type;
}

bool fits(DType type, std::int64_t columns) {
  return row_bytes(type, static_cast<std::size_t>(columns)).has_value();
}

/// The head, and embeddings that serve as head, decide the logits directly.
DType head_type(const Preset& preset, std::int64_t columns) {
  if (preset.base == DType::kQ8_0 || !fits(preset.base, columns)) return DType::kQ8_0;
  return DType::kQ6_K;
}

/// The nearest type whose blocks fill the rows.
DType fitting(DType type, std::int64_t columns) {
  if (fits(type, columns)) return type;
  switch (type) {
    case DType::kQ2_K:
    case DType::kQ3_K:
      type = DType::kQ4_0;
      break;
    case DType::kQ4_K:
      type = DType::kQ5_0;
      break;
    case DType::kQ5_K:
      type = DType::kQ5_1;
      break;
    case DType::kQ6_K:
      type = DType::kQ8_0;
      break;
    case DType::kIQ4_XS:
      type = DType::kIQ4_NL;
      break;
    default:
      break;
  }
  return fits(type, columns) ? type : DType::kF16;
}

int layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  int layer = -1;
  if (name.starts_with(kPrefix))
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  return layer;
}

bool same_ignoring_case(std::string_view left, std::string_view right) {
  return std::ranges::equal(
      left, right, [](unsigned char a, unsigned char b) { return std::toupper(a) == std::toupper(b); });
}

// Names that the field uses for what is no quantization of a trained model.
constexpr std::array<std::string_view, 3> kTernary = {"ternary", "TQ1_0", "TQ2_0"};

}  // namespace

std::span<const Preset> presets() {
  return kPresets;
}

const Preset& find_preset(std::string_view name) {
  const auto* row =
      std::ranges::find_if(kPresets, [&](const Preset& each) { return same_ignoring_case(each.name, name); });
  if (row != kPresets.end()) return *row;
  refuse_ternary(name, "--preset");
  std::string known;
  for (const Preset& each : kPresets) known += (known.empty() ? "" : ", ") + std::string(each.name);
  throw InputError(name.empty() ? "method gguf needs a preset" : "unknown preset '" + std::string(name) + "'",
                   "--preset", "give one of " + known);
}

void refuse_ternary(std::string_view name, const std::string& option) {
  if (std::ranges::none_of(kTernary, [&](std::string_view each) { return same_ignoring_case(each, name); }))
    return;
  throw InputError(
      "rounding a trained model to three values destroys it: only models trained so keep their sense",
      option + " " + std::string(name),
      "load a model that was trained ternary as it is (TQ1_0 and TQ2_0 are read), or use gguf Q2_K");
}

bool may_quantize(const TensorView& tensor) {
  return tensor.shape.size() >= 2 && tensor.name.ends_with("weight") &&
         !tensor.name.ends_with("_norm.weight") && !tensor.name.ends_with("ffn_gate_inp.weight");
}

bool quantization_order(const TensorView& left, const TensorView& right) {
  return std::tuple(layer_of(left.name), std::string_view(left.name)) <
         std::tuple(layer_of(right.name), std::string_view(right.name));
}

std::vector<DType> choose_types(const Preset& preset, const formats::ModelConfig& config,
                                std::span<const TensorView> tensors, bool imatrix) {
  const auto count_of = [&](Role role) {
    return std::ranges::count_if(tensors,
                                 [&](const TensorView& tensor) { return role_of(tensor.name) == role; });
  };
  const std::int64_t values = count_of(Role::kAttentionV);
  const bool tied = count_of(Role::kOutput) == 0;
  std::int64_t value_index = 0;
  std::int64_t down_index = 0;
  std::vector<DType> types;
  types.reserve(tensors.size());
  for (const TensorView& tensor : tensors) {
    const Role role = role_of(tensor.name);
    if (!may_quantize(tensor)) {
      types.push_back(tensor.type);
      continue;
    }
    DType type = preset.base;
    if (role == Role::kOutput || (tied && role == Role::kEmbeddings)) {
      type = head_type(preset, tensor.columns());
    } else if (role == Role::kAttentionV) {
      type = type_by_rule(preset, role, value_index++, values, config, imatrix);
    } else if (role == Role::kFfnDown) {
      type = type_by_rule(preset, role, down_index++, config.layers, config, imatrix);
    } else {
      type = type_by_rule(preset, role, 0, 1, config, imatrix);
    }
    types.push_back(fitting(type, tensor.columns()));
  }
  return types;
}

}  // namespace stepdown::quant
