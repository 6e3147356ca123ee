#include "operator/compat/memory_fit.h"

#include <algorithm>
#include <cstdio>

#include "engine/memory/engines.h"
#include "engine/memory/saturating.h"
#include "operator/compat/matrix.h"
#include "operator/compat/methods.h"

namespace stepdown::compat {
namespace {

constexpr std::int64_t kLongestDefaultContext = 8192;
constexpr std::int64_t kMostAccelerators = 8;  // of one node; more is another engine's business

std::int64_t accelerators(const api::ServingSpec& serving) {
  return serving.hardware && !serving.hardware->accelerator.empty()
             ? std::max<std::int64_t>(1, serving.hardware->count)
             : 1;
}

memory::KvCost kv_cost(const api::MemoryFigures& figures) {
  return {.per_token = figures.kv_per_token,
          .windowed_per_token = figures.kv_windowed_per_token,
          .window = figures.kv_window,
          .expanded_per_token = figures.kv_expanded_per_token,
          .heads = std::max<std::int64_t>(1, figures.kv_heads),
          .head_dim = figures.head_dim};
}

/// The base's weights as an engine holds them: others than the bundled one take 32 bits for 16 (vLLM,
/// "--dtype": auto is FP16 of FP32 models).
std::int64_t base_weights(const api::QuantizedModelSpec& spec, const api::ModelFacts& model) {
  if (spec.serving.engine == "stepdown" || model.format != "safetensors" || model.parameters <= 0)
    return model.memory.weights;
  return std::min(model.memory.weights, memory::product({model.parameters, 2}));
}

memory::Model memory_model(const api::QuantizedModelSpec& spec, const api::ModelFacts& model,
                           std::int64_t bytes) {
  return {.weights = bytes == model.size ? base_weights(spec, model) : bytes,
          .kv = kv_cost(model.memory),
          .activations = model.memory.activations,
          .repackable = bytes == model.size ? model.memory.repackable : 0};
}

memory::Load load_of(const api::QuantizedModelSpec& spec, const api::ModelFacts& model,
                     std::string_view kv_type) {
  return {.context = context_length(spec.serving, model),
          .sequences = spec.serving.concurrency,
          .kv_type = memory::kv_type_of(kv_type).value_or(memory::KvType::kF16),
          .accelerators = accelerators(spec.serving),
          .nodes = spec.serving.hardware ? spec.serving.hardware->nodes : 1};
}

/// Where each engine differs; figures come from its profile.
memory::EngineTraits traits_of(const api::ServingSpec& serving,
                               const std::optional<api::EngineProfile>& profile) {
  const api::EngineProfile* builtin = builtin_profile(serving.engine);
  memory::EngineTraits traits = memory::engine_traits(serving.engine);
  const bool on_cpus = !serving.hardware || serving.hardware->accelerator.empty();
  const std::string built_in = builtin != nullptr ? builtin->spec.memory.overhead : "";
  const std::string stated = profile ? profile->spec.memory.overhead : built_in;
  traits.repacks = traits.repacks && on_cpus;
  // A profile's figure is an accelerator's, unless it is the cluster's own.
  if (!on_cpus || traits.overhead == 0 || stated != built_in)
    traits.overhead = api::parse_quantity(stated.empty() ? built_in : stated).value_or(0);
  return traits;
}

double utilization(const api::ServingSpec& serving, const std::optional<api::EngineProfile>& profile) {
  if (profile && profile->spec.memory.utilization) return *profile->spec.memory.utilization;
  const api::EngineProfile* builtin = builtin_profile(serving.engine);
  return builtin != nullptr ? builtin->spec.memory.utilization.value_or(1) : 1;
}

/// The quantized cache that the engine has, on any hardware.
std::optional<memory::KvType> smaller_cache(const api::ServingSpec& serving,
                                            const std::optional<api::EngineProfile>& profile) {
  const auto types = EngineSupport(serving.engine, profile).kv_types();
  for (const char* each : {"int8", "fp8"}) {
    if (std::ranges::find(types, each) != types.end()) return memory::kv_type_of(each);
  }
  return std::nullopt;
}

}  // namespace

std::int64_t Footprint::at(std::int64_t sequences) const {
  return memory::sum({weights, memory::product({kv_per_sequence, sequences}), activations, overhead});
}

std::int64_t context_length(const api::ServingSpec& serving, const api::ModelFacts& model) {
  if (serving.context_length) return *serving.context_length;
  return model.context_length > 0 ? std::min(model.context_length, kLongestDefaultContext)
                                  : kLongestDefaultContext;
}

Footprint footprint(const api::QuantizedModelSpec& spec, const api::ModelFacts& model, std::int64_t bytes,
                    std::string_view kv_type, const std::optional<api::EngineProfile>& profile,
                    std::size_t fp16_kv_layers) {
  const memory::EngineTraits engine = traits_of(spec.serving, profile);
  const memory::Model what = memory_model(spec, model, bytes);
  memory::Load load = load_of(spec, model, kv_type);
  load.layers = model.memory.layers;
  load.f16_layers = static_cast<std::int64_t>(fp16_kv_layers);
  const memory::Estimate all = memory::estimate(what, load, engine);
  return {all.weights, memory::kv_bytes_per_sequence(what.kv, load, engine), all.activations, all.overhead};
}

std::optional<std::int64_t> usable_memory(const api::ServingSpec& serving,
                                          const std::optional<api::EngineProfile>& profile) {
  if (!serving.hardware || serving.hardware->memory.empty()) return std::nullopt;
  const auto limit = api::parse_quantity(serving.hardware->memory);
  if (!limit) return std::nullopt;
  return static_cast<std::int64_t>(static_cast<double>(*limit) * utilization(serving, profile));
}

std::int64_t sequences_that_fit(const api::QuantizedModelSpec& spec, const Footprint& footprint,
                                const std::optional<api::EngineProfile>& profile) {
  const std::int64_t asked = spec.serving.concurrency;
  const auto limit = usable_memory(spec.serving, profile);
  if (!limit || footprint.kv_per_sequence <= 0) return asked;
  return std::clamp<std::int64_t>((*limit - footprint.at(0)) / footprint.kv_per_sequence, 0, asked);
}

std::optional<std::int64_t> predicted_size(const api::CandidateSpec& candidate,
                                           const api::ModelFacts& model) {
  const Method* method = find_method(candidate);
  if (method == nullptr) return std::nullopt;
  // Of a base in 32 bits, or in blocks, the parameters tell what 16 bits would take.
  const std::int64_t fp16 =
      model.parameters > 0 ? memory::product({model.parameters, 2}) : model.memory.weights;
  const std::int64_t most = predicted_bytes(*find_method({.method = "gguf", .preset = "Q8_0"}),
                                            fp16);  // that a budget can be spent on
  if (const auto budget = api::parse_quantity(candidate.budget)) return std::min(*budget, most);
  return predicted_bytes(*method, fp16);
}

std::string too_large(const api::QuantizedModelSpec& spec, const api::ModelFacts& model, std::int64_t bytes,
                      const std::optional<api::EngineProfile>& profile) {
  const Footprint quantized = footprint(spec, model, bytes, spec.kv_cache.type, profile);
  if (sequences_that_fit(spec, quantized, profile) > 0) return "";
  return "needs " + readable_bytes(quantized.at(1)) + " for one sequence of " +
         std::to_string(context_length(spec.serving, model)) + " tokens, and " +
         spec.serving.hardware->memory + " are given";
}

std::string largest_that_fits(const api::QuantizedModelSpec& spec, const api::ModelFacts& model,
                              std::int64_t bytes, std::string_view kv_type,
                              const std::optional<api::EngineProfile>& profile) {
  const auto limit = usable_memory(spec.serving, profile);
  if (!limit) return "";
  const memory::Model what = memory_model(spec, model, bytes);
  const memory::EngineTraits engine = traits_of(spec.serving, profile);
  const memory::Load load = load_of(spec, model, kv_type);
  const std::int64_t sequences = memory::largest_sequences(what, load, engine, *limit);
  const std::int64_t context = memory::largest_context(what, load, engine, *limit);
  return std::to_string(sequences) + " sequences of " + std::to_string(load.context) + " tokens fit, or " +
         std::to_string(load.sequences) + " of " + std::to_string(context);
}

std::string cheapest_mend(const api::QuantizedModelSpec& spec, const api::ModelFacts& model,
                          std::int64_t bytes, std::string_view kv_type,
                          const std::optional<api::EngineProfile>& profile) {
  const auto limit = usable_memory(spec.serving, profile);
  const std::int64_t most =
      spec.serving.hardware && !spec.serving.hardware->accelerator.empty() ? kMostAccelerators : 1;
  // FP16 keeps its FP16 cache: only quantized revisions may take a smaller one.
  const bool base = bytes == model.size;
  const auto change = memory::cheapest_change(
      memory_model(spec, model, bytes), load_of(spec, model, kv_type), traits_of(spec.serving, profile),
      limit.value_or(0), base ? std::nullopt : smaller_cache(spec.serving, profile), most);
  if (!change) return "it fits as it is";
  const std::string value = std::to_string(change->value);
  switch (change->kind) {
    case memory::Change::Kind::kKvType:
      return "set spec.kvCache.type to " +
             std::string(change->kv_type == memory::KvType::kFp8 ? "fp8" : "int8");
    case memory::Change::Kind::kConcurrency:
      return "set spec.serving.concurrency to " + value;
    case memory::Change::Kind::kContext:
      return "set spec.serving.contextLength to " + value;
    case memory::Change::Kind::kAccelerators:
      return "set spec.serving.hardware.count to " + value + ", and memory to theirs together";
    case memory::Change::Kind::kMemory:
      break;
  }
  constexpr double kLargest = 9e18;
  const auto needed = static_cast<std::int64_t>(
      std::min(static_cast<double>(change->value) / utilization(spec.serving, profile), kLargest));
  return "give it " + readable_bytes(needed) + " in spec.serving.hardware.memory";
}

std::string readable_bytes(std::int64_t bytes) {
  constexpr double kMebi = 1 << 20, kGibi = 1 << 30;
  char text[32];
  const auto value = static_cast<double>(bytes);
  std::snprintf(text, sizeof text, value >= kGibi ? "%.1f GiB" : "%.0f MiB",
                value >= kGibi ? value / kGibi : value / kMebi);
  return text;
}

}  // namespace stepdown::compat
