#pragma once

#include "operator/api/codec.h"

/// One row a field of QuantizedModel's spec. Private to this room and its tests.
namespace stepdown::api {

constexpr auto describe(SecretReference*) {
  return std::tuple{required("name", &SecretReference::name)};
}

constexpr auto describe(Adapter*) {
  return std::tuple{required("source", &Adapter::source), optional("weight", &Adapter::weight),
                    optional("secretRef", &Adapter::secret_ref)};
}

constexpr auto describe(ModelSpec*) {
  return std::tuple{required("source", &ModelSpec::source), optional("revision", &ModelSpec::revision),
                    optional("secretRef", &ModelSpec::secret_ref),
                    optional("adapters", &ModelSpec::adapters)};
}

constexpr auto describe(CandidateSpec*) {
  return std::tuple{required("method", &CandidateSpec::method), optional("preset", &CandidateSpec::preset),
                    optional("bits", &CandidateSpec::bits), optional("groupSize", &CandidateSpec::group_size),
                    optional("budget", &CandidateSpec::budget)};
}

constexpr auto describe(CalibrationSpec*) {
  return std::tuple{
      required("source", &CalibrationSpec::source), optional("samples", &CalibrationSpec::samples),
      optional("redact", &CalibrationSpec::redact), optional("redactNames", &CalibrationSpec::redact_names),
      optional("secretRef", &CalibrationSpec::secret_ref)};
}

constexpr auto describe(QatSpec*) {
  return std::tuple{optional("enabled", &QatSpec::enabled), optional("maxHours", &QatSpec::max_hours)};
}

constexpr auto describe(QuantizationSpec*) {
  return std::tuple{optional("candidates", &QuantizationSpec::candidates),
                    optional("ladder", &QuantizationSpec::ladder),
                    optional("calibration", &QuantizationSpec::calibration),
                    optional("imatrix", &QuantizationSpec::imatrix),
                    optional("qat", &QuantizationSpec::qat),
                    optional("fromRevision", &QuantizationSpec::from_revision)};
}

constexpr auto describe(NodeCacheSpec*) {
  return std::tuple{required("claimName", &NodeCacheSpec::claim_name),
                    required("size", &NodeCacheSpec::size)};
}

constexpr auto describe(StorageSpec*) {
  return std::tuple{optional("claimName", &StorageSpec::claim_name), optional("size", &StorageSpec::size),
                    optional("storageClass", &StorageSpec::storage_class),
                    optional("nodeCache", &StorageSpec::node_cache)};
}

constexpr auto describe(KvCacheSpec*) {
  return std::tuple{optional("type", &KvCacheSpec::type),
                    optional("maxAttentionError", &KvCacheSpec::max_attention_error)};
}

constexpr auto describe(Toleration*) {
  return std::tuple{optional("key", &Toleration::key), optional("operator", &Toleration::op),
                    optional("value", &Toleration::value), optional("effect", &Toleration::effect),
                    optional("tolerationSeconds", &Toleration::seconds)};
}

constexpr auto describe(HardwareSpec*) {
  return std::tuple{optional("accelerator", &HardwareSpec::accelerator),
                    optional("count", &HardwareSpec::count),
                    optional("nodes", &HardwareSpec::nodes),
                    optional("memory", &HardwareSpec::memory),
                    optional("nodeSelector", &HardwareSpec::node_selector),
                    optional("tolerations", &HardwareSpec::tolerations)};
}

constexpr auto describe(Resources*) {
  return std::tuple{optional("requests", &Resources::requests), optional("limits", &Resources::limits)};
}

constexpr auto describe(ServingSpec*) {
  return std::tuple{optional("engine", &ServingSpec::engine),
                    optional("contextLength", &ServingSpec::context_length),
                    optional("concurrency", &ServingSpec::concurrency),
                    optional("replicas", &ServingSpec::replicas),
                    optional("hardware", &ServingSpec::hardware),
                    optional("resources", &ServingSpec::resources)};
}

constexpr auto describe(Slo*) {
  return std::tuple{optional("min", &Slo::min), optional("max", &Slo::max),
                    optional("maxDrop", &Slo::max_drop)};
}

constexpr auto describe(EvaluationSpec*) {
  return std::tuple{optional("dataset", &EvaluationSpec::dataset),
                    optional("secretRef", &EvaluationSpec::secret_ref),
                    optional("recheck", &EvaluationSpec::recheck),
                    optional("suites", &EvaluationSpec::suites), optional("slo", &EvaluationSpec::slo)};
}

constexpr auto describe(Step*) {
  return std::tuple{required("weight", &Step::weight), optional("hold", &Step::hold),
                    optional("approval", &Step::approval)};
}

constexpr auto describe(ControlSpec*) {
  return std::tuple{optional("percent", &ControlSpec::percent)};
}

constexpr auto describe(FallbackSpec*) {
  return std::tuple{optional("replicas", &FallbackSpec::replicas),
                    optional("placement", &FallbackSpec::placement),
                    optional("residency", &FallbackSpec::residency)};
}

constexpr auto describe(RollbackSpec*) {
  return std::tuple{optional("alpha", &RollbackSpec::alpha), optional("ratio", &RollbackSpec::ratio),
                    optional("maxErrorRate", &RollbackSpec::max_error_rate),
                    optional("latencyP99Ratio", &RollbackSpec::latency_p99_ratio)};
}

constexpr auto describe(ShadowSpec*) {
  return std::tuple{optional("percent", &ShadowSpec::percent),
                    optional("maxDisagreement", &ShadowSpec::max_disagreement)};
}

constexpr auto describe(EscalationSpec*) {
  return std::tuple{optional("minConfidence", &EscalationSpec::min_confidence)};
}

constexpr auto describe(RolloutSpec*) {
  return std::tuple{
      optional("paused", &RolloutSpec::paused),          optional("steps", &RolloutSpec::steps),
      optional("minAnswers", &RolloutSpec::min_answers), optional("control", &RolloutSpec::control),
      optional("fallback", &RolloutSpec::fallback),      optional("rollback", &RolloutSpec::rollback),
      optional("shadow", &RolloutSpec::shadow),          optional("escalation", &RolloutSpec::escalation)};
}

constexpr auto describe(QuantizedModelSpec*) {
  return std::tuple{optional("suspend", &QuantizedModelSpec::suspend),
                    required("model", &QuantizedModelSpec::model),
                    optional("quantization", &QuantizedModelSpec::quantization),
                    optional("storage", &QuantizedModelSpec::storage),
                    optional("kvCache", &QuantizedModelSpec::kv_cache),
                    optional("serving", &QuantizedModelSpec::serving),
                    optional("evaluation", &QuantizedModelSpec::evaluation),
                    optional("rollout", &QuantizedModelSpec::rollout)};
}

}  // namespace stepdown::api
