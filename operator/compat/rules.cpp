#include "operator/compat/rules.h"

#include <algorithm>
#include <array>

#include "operator/api/time.h"
#include "operator/compat/memory_fit.h"
#include "operator/compat/methods.h"

namespace stepdown::compat {
namespace {

struct Input {
  const api::QuantizedModelSpec& spec;
  const Inventory& inventory;
};

using Findings = std::vector<Finding>;

std::string element(const char* list, std::size_t index) {
  return list + ("[" + std::to_string(index) + "]");
}

std::string mebibytes(std::int64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

bool bundled_engine(const Input& in) {
  return in.spec.serving.engine == "stepdown";
}

// SD001: sources that no init step of this version fetches.
void sources(const Input& in, Findings& out) {
  const auto check = [&](const std::string& source, const char* path) {
    if (source.empty() || source.starts_with("file:///") ||
        (source.starts_with("pvc://") && source.size() > 6)) {
      if (source.find("/../") == std::string::npos && !source.ends_with("/..")) return;
    }
    out.push_back({"SD001", Severity::kError, path, "source " + source + " cannot be mounted",
                   "give file:///absolute/path or pvc://claim/path, without '..'"});
  };
  if (in.spec.model.source.empty()) {
    out.push_back(
        {"SD001", Severity::kError, "spec.model.source", "there is no source", "say where the model lies"});
  }
  check(in.spec.model.source, "spec.model.source");
  check(in.spec.evaluation.dataset, "spec.evaluation.dataset");
  if (in.spec.quantization.calibration) {
    check(in.spec.quantization.calibration->source, "spec.quantization.calibration.source");
  }
}

// SD002: methods that no quantizer here knows.
void unknown_methods(const Input& in, Findings& out) {
  std::string known;
  for (const Method& each : methods()) {
    known += (known.empty() ? "" : ", ") + std::string(each.method) + "/" + std::string(each.preset);
  }
  const auto& candidates = in.spec.quantization.candidates;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (find_method(candidates[i]) != nullptr) continue;
    out.push_back({"SD002", Severity::kError, element("spec.quantization.candidates", i),
                   "unknown method " + candidates[i].name(), "use one of " + known});
  }
}

// SD003: adapters must be merged before export; a quantized base with a separate adapter is another model.
void adapters(const Input& in, Findings& out) {
  if (in.spec.model.adapters.empty()) return;
  out.push_back({"SD003", Severity::kError, "spec.model.adapters", "this version does not merge adapters",
                 "merge them into the base model and name the result as source"});
}

// SD004: without FP16 there is nothing to roll back to.
void fallback(const Input& in, Findings& out) {
  if (in.spec.rollout.fallback.replicas > 0) return;
  out.push_back({"SD004", Severity::kError, "spec.rollout.fallback.replicas", "there is no FP16 fallback",
                 "keep at least one FP16 replica"});
}

// SD005: memory at the asked context × concurrency.
void memory(const Input& in, Findings& out) {
  const auto& hardware = in.spec.serving.hardware;
  if (!hardware || hardware->memory.empty() || !in.inventory.model) return;
  if (!api::parse_quantity(hardware->memory)) {
    out.push_back(
        {"SD005", Severity::kError, "spec.serving.hardware.memory", "malformed quantity", "such as 16Gi"});
    return;
  }
  const api::ModelFacts& model = *in.inventory.model;
  const Footprint fp16 = footprint(in.spec, model, model.size, "fp16");
  const std::int64_t fit = sequences_that_fit(in.spec, fp16);
  if (fit == 0) {
    out.push_back({"SD005", Severity::kError, "spec.serving.hardware.memory",
                   "FP16 needs " + mebibytes(fp16.at(1)) + " for one sequence (predicted), " +
                       hardware->memory + " are given",
                   "raise the memory or lower spec.serving.contextLength"});
  } else if (fit < in.spec.serving.concurrency) {
    out.push_back({"SD005", Severity::kWarning, "spec.serving.concurrency",
                   "FP16 fits " + std::to_string(fit) + " of " + std::to_string(in.spec.serving.concurrency) +
                       " sequences in " + hardware->memory + " (predicted) and is started with so many",
                   "raise the memory if FP16 must carry the full load alone"});
  }
  const auto& candidates = in.spec.quantization.candidates;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Method* method = find_method(candidates[i]);
    if (method == nullptr) continue;
    const auto bytes =
        static_cast<std::int64_t>(static_cast<double>(model.memory.weights) * method->bits / 16);
    const Footprint quantized = footprint(in.spec, model, bytes, in.spec.kv_cache.type);
    if (sequences_that_fit(in.spec, quantized) >= in.spec.serving.concurrency) continue;
    out.push_back({"SD005", Severity::kWarning, element("spec.quantization.candidates", i),
                   candidates[i].name() + " needs " + mebibytes(quantized.at(in.spec.serving.concurrency)) +
                       " for " + std::to_string(in.spec.serving.concurrency) + " sequences (predicted), " +
                       hardware->memory + " are given",
                   "lower spec.serving.contextLength or concurrency, or raise the memory"});
  }
}

// SD006: positions that the model never saw in training.
void context(const Input& in, Findings& out) {
  if (!in.inventory.model || !in.spec.serving.context_length) return;
  const std::int64_t limit = in.inventory.model->context_length;
  if (limit <= 0 || *in.spec.serving.context_length <= limit) return;
  out.push_back({"SD006", Severity::kError, "spec.serving.contextLength",
                 std::to_string(*in.spec.serving.context_length) +
                     " tokens are over the model's own limit of " + std::to_string(limit),
                 "give at most " + std::to_string(limit)});
}

// SD007: three bits and fewer break structured output first.
void low_bits_with_structure(const Input& in, Findings& out) {
  const bool structured = std::ranges::any_of(in.spec.evaluation.suites, [](const api::RawJson& suite) {
    return suite.text.find("\"jsonSchema\"") != std::string::npos;
  });
  if (!structured) return;
  const auto& candidates = in.spec.quantization.candidates;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Method* method = find_method(candidates[i]);
    if (method == nullptr || method->bits >= 4) continue;
    out.push_back({"SD007", Severity::kWarning, element("spec.quantization.candidates", i),
                   candidates[i].name() + " has under 4 bits a weight and answers must match a schema",
                   "keep a candidate of 4 bits or more beside it"});
  }
}

// SD008, SD009: quantized KV caches.
void kv_cache(const Input& in, Findings& out) {
  const std::string& type = in.spec.kv_cache.type;
  if (type == "fp16") return;
  const bool known =
      bundled_engine(in)
          ? type == "int8"
          : !in.inventory.profile || std::ranges::count(in.inventory.profile->spec.kv_types, type) > 0;
  if (!known) {
    out.push_back({"SD009", Severity::kError, "spec.kvCache.type",
                   "engine " + in.spec.serving.engine + " has no " + type + " KV cache", "use fp16 or int8"});
    return;
  }
  out.push_back({"SD008", Severity::kWarning, "spec.kvCache.type",
                 "the attention error of a quantized KV cache is not checked by this version",
                 "watch longContext and perplexity in the evaluation, or use fp16"});
}

// SD010: fields whose other values this version does not carry out; refused rather than ignored.
void unsupported_fields(const Input& in, Findings& out) {
  if (in.spec.rollout.fallback.placement != "sameGPU") {
    out.push_back({"SD010", Severity::kError, "spec.rollout.fallback.placement",
                   "this version places FP16 as any other engine", "use sameGPU"});
  }
  if (in.spec.rollout.fallback.residency != "warm") {
    out.push_back({"SD010", Severity::kError, "spec.rollout.fallback.residency",
                   "this version keeps FP16 warm", "use warm"});
  }
}

// SD011: the files are not those that were pinned.
void base_digest(const Input& in, Findings& out) {
  if (!in.inventory.model) return;
  const std::string& found = in.inventory.model->digest;
  if (!in.spec.model.revision.empty() && in.spec.model.revision != found) {
    out.push_back({"SD011", Severity::kError, "spec.model.revision", "the source has digest " + found,
                   "mend the source, or pin that digest"});
  }
  if (in.inventory.from_revision && in.inventory.from_revision->spec.base.digest != found) {
    out.push_back({"SD011", Severity::kError, "spec.quantization.fromRevision",
                   "it was made from base " + in.inventory.from_revision->spec.base.digest +
                       ", the source has " + found,
                   "promote a revision of this base, or give its base as source"});
  }
}

// SD012: nothing to measure candidates by.
void evaluation(const Input& in, Findings& out) {
  if (!in.spec.evaluation.dataset.empty() || !in.spec.quantization.from_revision.empty()) return;
  out.push_back({"SD012", Severity::kWarning, "spec.evaluation.dataset",
                 "candidates are not evaluated: the canary alone guards them",
                 "give held-out prompts and an slo"});
}

// SD013: steps that the CRD's rules refuse as well, for manifests judged offline.
void steps(const Input& in, Findings& out) {
  std::int64_t before = 0;
  for (std::size_t i = 0; i < in.spec.rollout.steps.size(); ++i) {
    const api::Step& step = in.spec.rollout.steps[i];
    const std::string path = element("spec.rollout.steps", i);
    if (!api::parse_duration(step.hold)) {
      out.push_back({"SD013", Severity::kError, path + ".hold", "malformed duration " + step.hold,
                     "such as 60s or 1h30m"});
    }
    if (step.weight <= before || step.weight > 100) {
      out.push_back({"SD013", Severity::kError, path + ".weight",
                     "weights must rise from step to step, at most to 100",
                     "give a weight above " + std::to_string(before)});
    }
    before = step.weight;
  }
}

// SD014: a limit on a metric that is never measured would never hold.
void slo_metrics(const Input& in, Findings& out) {
  static constexpr std::array kMetrics = {"perplexity",    "jsonPass",        "jsonPassConstrained",
                                          "fieldAccuracy", "exactMatch",      "citation",
                                          "refusal",       "longContext",     "latencyP50Ms",
                                          "latencyP99Ms",  "tokensPerSecond", "peakMemoryBytes"};
  for (const auto& [metric, slo] : in.spec.evaluation.slo) {
    if (std::ranges::find(kMetrics, metric) != kMetrics.end()) continue;
    std::string known;
    for (const char* each : kMetrics) known += (known.empty() ? "" : ", ") + std::string(each);
    out.push_back({"SD014", Severity::kError, "spec.evaluation.slo[" + metric + "]",
                   "unknown metric " + metric, "use one of " + known});
  }
}

// SD015: formats that the engine does not load.
void engine_formats(const Input& in, Findings& out) {
  if (bundled_engine(in) || !in.inventory.profile) return;
  const auto& formats = in.inventory.profile->spec.formats;
  const auto loads = [&](const std::string& format) { return std::ranges::count(formats, format) > 0; };
  const auto& candidates = in.spec.quantization.candidates;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (loads(candidates[i].method)) continue;
    out.push_back({"SD015", Severity::kError, element("spec.quantization.candidates", i),
                   "engine " + in.spec.serving.engine + " does not load " + candidates[i].method,
                   "choose a method that its EngineProfile lists, or serving.engine stepdown"});
  }
  if (in.inventory.model && !loads(in.inventory.model->format)) {
    out.push_back({"SD015", Severity::kError, "spec.serving.engine",
                   "engine " + in.spec.serving.engine + " does not load the base's format " +
                       in.inventory.model->format,
                   "convert the base, or use serving.engine stepdown"});
  }
}

constexpr std::array kRules = {
    sources,  unknown_methods,    adapters,    fallback,   memory, context,     low_bits_with_structure,
    kv_cache, unsupported_fields, base_digest, evaluation, steps,  slo_metrics, engine_formats};

}  // namespace

std::vector<Finding> judge(const api::QuantizedModelSpec& spec, const Inventory& inventory) {
  api::QuantizedModelSpec effective = spec;
  effective.quantization.candidates = api::candidates_of(spec.quantization);
  const Input input{effective, inventory};
  Findings findings;
  for (const auto& rule : kRules) rule(input, findings);
  std::ranges::stable_sort(findings, {}, &Finding::id);
  return findings;
}

bool has_errors(const std::vector<Finding>& findings) {
  return std::ranges::any_of(findings, [](const Finding& each) { return each.severity == Severity::kError; });
}

}  // namespace stepdown::compat
