#include "operator/rollout/children/records.h"

#include <algorithm>

#include "operator/compat/memory_fit.h"
#include "operator/rollout/children/common.h"
#include "operator/rollout/children/jobs.h"
#include "operator/rollout/names.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr std::int64_t kGibi = std::int64_t{1} << 30;

}  // namespace

json claim(const api::QuantizedModel& model, const api::ModelFacts& base, std::size_t candidates) {
  json out = object("v1", "PersistentVolumeClaim", model, names::claim(model), "job", Owned::kNo);
  std::string size = model.spec.storage.size;
  if (size.empty()) {
    // No candidate is larger than the base; half of it covers the mean one, and the base itself is spare.
    const std::int64_t bytes = base.size * 2 + base.size / 2 * static_cast<std::int64_t>(candidates);
    size = std::to_string(std::max<std::int64_t>(1, (bytes + kGibi - 1) / kGibi)) + "Gi";
  }
  out["spec"] = {{"accessModes", {"ReadWriteOnce"}}, {"resources", {{"requests", {{"storage", size}}}}}};
  if (!model.spec.storage.storage_class.empty())
    out["spec"]["storageClassName"] = model.spec.storage.storage_class;
  return out;
}

json revision(const api::QuantizedModel& model, const api::ModelFacts& base,
              const api::CandidateSpec& candidate, const api::CandidateStatus& result, const Record& record) {
  json out = object(api::kApiVersion, "QuantRevision", model, record.name, "revision", Owned::kNo);
  api::QuantRevisionSpec spec;
  spec.model = model.metadata.name;
  spec.base = {base.digest, model.spec.model.source, base.tokenizer_digest, base.template_digest};
  spec.method = candidate.method;
  spec.preset = candidate.preset;
  spec.bits = result.bits;
  spec.group_size = candidate.group_size;
  spec.calibration = result.calibration;
  spec.adapters = result.adapters;
  spec.recipe = recipe(model, candidate);
  spec.tool_version = result.tool_version;
  spec.artifact = {result.uri, result.digest, result.size};
  if (!result.metrics.empty()) {
    spec.evaluation = api::EvaluationRecord{
        .dataset = model.spec.evaluation.dataset,
        .dataset_digest = record.inputs.dataset_digest,
        .identity = record.identity,
        .tool_version = result.tool_version,
        .kv_type = model.spec.kv_cache.type,
        .fp16_kv_layers = result.fp16_kv_layers,
        .context_length = compat::context_length(model.spec.serving, base),
        .report = result.report,
        .engine = model.spec.serving.engine,
        .engine_version = record.engine_version,
        .hardware = model.spec.serving.hardware ? model.spec.serving.hardware->accelerator : "",
        .hardware_class = record.inputs.hardware_class};
  }
  spec.scores = result.metrics;
  out["spec"] = api::print(spec);
  return out;
}

}  // namespace stepdown::rollout::children
