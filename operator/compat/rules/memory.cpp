#include <algorithm>
#include <optional>
#include <vector>

#include "engine/memory/saturating.h"
#include "operator/compat/fallback.h"
#include "operator/compat/memory_fit.h"
#include "operator/compat/rule.h"

// Weights, KV cache and activations against the memory that is given.
namespace stepdown::compat {
namespace {

const api::ModelFacts* predictable(const Subject& subject) {
  if (!subject.inventory.model) return nullptr;
  const api::MemoryFigures& memory = subject.inventory.model->memory;
  return memory.kv_per_token > 0 || memory.kv_windowed_per_token > 0 ? &*subject.inventory.model : nullptr;
}

void unknown_cache(const Subject& subject, Report& report) {
  if (!subject.inventory.model || predictable(subject) != nullptr) return;
  const std::string& name = subject.inventory.model->architecture;
  report.add("spec.model.source", "the attention cache of architecture " +
                                      (name.empty() ? "(none stated)" : name) +
                                      " is not known, so that its memory cannot be predicted");
}

/// Bytes of a replica's accelerators, where selector or nodes tell which they are; 0 otherwise.
std::int64_t known_memory(const Subject& subject) {
  const auto& hardware = subject.spec.serving.hardware;
  if (!hardware || hardware->accelerator.empty()) return 0;
  std::int64_t least = memory_of(hardware->node_selector, hardware->accelerator);
  for (const Node& node : subject.nodes) {
    const std::int64_t here = memory_of(node.labels, hardware->accelerator);
    if (here > 0 && (least == 0 || here < least)) least = here;
  }
  return memory::product({least, std::max<std::int64_t>(1, hardware->count)});
}

/// The spec, with the memory that is known where it states none.
api::QuantizedModelSpec with_memory(const Subject& subject) {
  api::QuantizedModelSpec spec = subject.spec;
  const std::int64_t known = known_memory(subject);
  if (known > 0 && spec.serving.hardware->memory.empty())
    spec.serving.hardware->memory = std::to_string(known >> 20) + "Mi";
  return spec;
}

void overstated(const Subject& subject, Report& report) {
  const std::int64_t known = known_memory(subject);
  if (known == 0) return;
  const std::string& memory = subject.spec.serving.hardware->memory;
  constexpr double kRounding = 1.15;  // people write what the box says
  const auto stated = static_cast<double>(api::parse_quantity(memory).value_or(0));
  if (stated <= static_cast<double>(known) * kRounding) return;
  report.add("spec.serving.hardware.memory", memory + " are stated, and " +
                                                 std::to_string(subject.spec.serving.hardware->count) +
                                                 " such accelerators have " + readable_bytes(known));
}

void fits(const Subject& subject, Report& report) {
  const api::QuantizedModelSpec spec = with_memory(subject);
  const auto& hardware = spec.serving.hardware;
  const api::ModelFacts* model = predictable(subject);
  if (!hardware || hardware->memory.empty()) return;
  if (!api::parse_quantity(hardware->memory)) {
    report.add("spec.serving.hardware.memory", "malformed quantity " + hardware->memory, "such as 16Gi");
    return;
  }
  if (model == nullptr) return;
  const auto& profile = subject.inventory.profile;
  const std::int64_t asked = spec.serving.concurrency;
  const Footprint fp16 = footprint(spec, *model, model->size, "fp16", profile);
  const std::int64_t fit = fp16_on_cpus(spec) ? asked : sequences_that_fit(spec, fp16, profile);
  if (fit == 0) {
    report.add("spec.serving.hardware.memory",
               "FP16 needs " + readable_bytes(fp16.at(1)) + " for one sequence (predicted), " +
                   hardware->memory +
                   " are given: " + largest_that_fits(spec, *model, model->size, "fp16", profile),
               cheapest_mend(spec, *model, model->size, "fp16", profile) +
                   (hardware->accelerator.empty() ? "" : ", or set spec.rollout.fallback.placement to cpu"));
  } else if (fit < asked) {
    report.add("spec.serving.concurrency",
               "FP16 fits " + std::to_string(fit) + " of " + std::to_string(asked) + " sequences in " +
                   hardware->memory + " (predicted)" +
                   (subject.spec.serving.hardware->memory.empty() ? "" : " and is started with so many"),
               "if FP16 must carry the full load alone, " +
                   cheapest_mend(spec, *model, model->size, "fp16", profile),
               Severity::kWarning);
  }
  const auto check = [&](const std::string& name, const std::string& path, std::int64_t bytes,
                         Severity severity) {
    const Footprint quantized = footprint(spec, *model, bytes, spec.kv_cache.type, profile);
    if (sequences_that_fit(spec, quantized, profile) >= asked) return;
    report.add(path,
               name + " needs " + readable_bytes(quantized.at(asked)) + " for " + std::to_string(asked) +
                   " sequences of " + std::to_string(context_length(spec.serving, *model)) +
                   " tokens (predicted), " + hardware->memory +
                   " are given: " + largest_that_fits(spec, *model, bytes, spec.kv_cache.type, profile),
               cheapest_mend(spec, *model, bytes, spec.kv_cache.type, profile), severity);
  };
  const auto fits_nowhere = [&](std::int64_t bytes) {
    return !too_large(spec, *model, bytes, profile).empty();
  };
  if (subject.inventory.from_revision) {
    const auto& size = subject.inventory.from_revision->spec.artifact.size;
    if (size) {
      check("the revision", "spec.quantization.fromRevision", *size,
            fits_nowhere(*size) ? Severity::kError : Severity::kWarning);
    }
    return;
  }
  // One that is too large is left out, as long as another is not.
  const auto& candidates = spec.quantization.candidates;
  std::vector<std::optional<std::int64_t>> sizes;
  for (const api::CandidateSpec& each : candidates) sizes.push_back(predicted_size(each, *model));
  const bool none =
      std::ranges::all_of(sizes, [&](const auto& bytes) { return bytes && fits_nowhere(*bytes); });
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (sizes[i]) {
      check(candidates[i].name(), element("spec.quantization.candidates", i), *sizes[i],
            none ? Severity::kError : Severity::kWarning);
    }
  }
}

void context(const Subject& subject, Report& report) {
  const auto& asked = subject.spec.serving.context_length;
  if (!subject.inventory.model || !asked) return;
  const std::int64_t limit = subject.inventory.model->context_length;
  if (limit <= 0 || *asked <= limit) return;
  report.add("spec.serving.contextLength",
             std::to_string(*asked) + " tokens are over the model's own limit of " + std::to_string(limit),
             "give at most " + std::to_string(limit));
}

void cache_forgotten(const Subject& subject, Report& report) {
  const auto& hardware = subject.spec.serving.hardware;
  const api::ModelFacts* model = predictable(subject);
  if (model == nullptr || (hardware && !hardware->memory.empty()) || known_memory(subject) > 0) return;
  const Footprint fp16 = footprint(subject.spec, *model, model->size, "fp16", subject.inventory.profile);
  const std::int64_t cache = fp16.at(subject.spec.serving.concurrency) - fp16.at(0);
  if (cache <= fp16.weights) return;
  report.add("spec.serving.hardware.memory",
             "the KV cache takes " + readable_bytes(cache) + " beside " + readable_bytes(fp16.weights) +
                 " of FP16 weights, and no memory is stated that it must fit");
}

constexpr Rule kRules[] = {
    {"SD005", Severity::kError, "It does not fit",
     "Weights as the files' headers state them, KV cache at the asked context x concurrency, activations of "
     "a step and "
     "the engine's own overhead, against the memory of one replica. Out of memory at long context is found "
     "in production "
     "otherwise.",
     "serving: {contextLength: 32768, concurrency: 8, hardware: {memory: 24Gi}}",
     "take the cheapest change that the finding names", fits},
    {"SD006", Severity::kError, "More context than the model has", "Positions beyond training give noise.",
     "serving: {contextLength: 131072}  # of a model with 8192", "give at most the model's own limit",
     context},
    {"SD027", Severity::kWarning, "The KV cache ignored",
     "At long context or many sequences the cache outweighs what quantization saved on weights.",
     "serving: {contextLength: 32768, concurrency: 16}",
     "state spec.serving.hardware.memory, so that it is checked", cache_forgotten},
    {"SD069", Severity::kWarning, "More memory stated than the accelerators have",
     "What fits is judged by what is stated; the server finds out what is there.",
     "serving: {hardware: {accelerator: nvidia.com/gpu, memory: 80Gi, nodeSelector: {nvidia.com/gpu.product: "
     "NVIDIA-L4}}}",
     "state what nvidia-smi tells, or leave it out: the product's name tells it", overstated},
    {"SD045", Severity::kError, "An attention cache that is not known",
     "Sliding windows, latent attention and state spaces need other amounts; who cannot predict must not "
     "schedule.",
     "model: {source: \"pvc://models/new-architecture\"}",
     "use a model of a known architecture; a new one is a row in engine/memory/cache_layout.cpp",
     unknown_cache},
};

}  // namespace

std::span<const Rule> memory_rules() {
  return kRules;
}

}  // namespace stepdown::compat
