#pragma once

#include "operator/api/codec.h"

/// One row a field of QuantizedModel's status. Private to this room and its tests.
namespace stepdown::api {

constexpr auto describe(Metric*) {
  return std::tuple{optional("value", &Metric::value), optional("baseline", &Metric::baseline),
                    optional("delta", &Metric::delta), optional("interval", &Metric::interval),
                    optional("n", &Metric::n)};
}

constexpr auto describe(Calibration*) {
  return std::tuple{optional("digest", &Calibration::digest), optional("samples", &Calibration::samples),
                    optional("drift", &Calibration::drift), optional("imatrix", &Calibration::imatrix)};
}

constexpr auto describe(MergedAdapter*) {
  return std::tuple{required("digest", &MergedAdapter::digest), optional("weight", &MergedAdapter::weight)};
}

constexpr auto describe(Condition*) {
  return std::tuple{required("type", &Condition::type),
                    required("status", &Condition::status),
                    optional("reason", &Condition::reason),
                    optional("message", &Condition::message),
                    optional("lastTransitionTime", &Condition::last_transition_time),
                    optional("observedGeneration", &Condition::observed_generation)};
}

constexpr auto describe(Summary*) {
  return std::tuple{optional("method", &Summary::method),
                    optional("weight", &Summary::weight),
                    optional("errors", &Summary::errors),
                    optional("quality", &Summary::quality),
                    optional("memorySaved", &Summary::memory_saved),
                    optional("message", &Summary::message)};
}

constexpr auto describe(MemoryFigures*) {
  return std::tuple{optional("layers", &MemoryFigures::layers),
                    optional("weights", &MemoryFigures::weights),
                    optional("kvPerToken", &MemoryFigures::kv_per_token),
                    optional("kvWindowedPerToken", &MemoryFigures::kv_windowed_per_token),
                    optional("kvWindow", &MemoryFigures::kv_window),
                    optional("kvExpandedPerToken", &MemoryFigures::kv_expanded_per_token),
                    optional("kvHeads", &MemoryFigures::kv_heads),
                    optional("headDim", &MemoryFigures::head_dim),
                    optional("activations", &MemoryFigures::activations),
                    optional("repackable", &MemoryFigures::repackable)};
}

constexpr auto describe(ModelFacts*) {
  return std::tuple{optional("inspectJob", &ModelFacts::inspect_job),
                    optional("source", &ModelFacts::source),
                    optional("place", &ModelFacts::place),
                    optional("checkedAt", &ModelFacts::checked_at),
                    optional("checkedFor", &ModelFacts::checked_for),
                    optional("dataset", &ModelFacts::dataset),
                    optional("datasetDigest", &ModelFacts::dataset_digest),
                    optional("adapters", &ModelFacts::adapters),
                    optional("adaptersDigest", &ModelFacts::adapters_digest),
                    optional("digest", &ModelFacts::digest),
                    optional("format", &ModelFacts::format),
                    optional("architecture", &ModelFacts::architecture),
                    optional("contextLength", &ModelFacts::context_length),
                    optional("size", &ModelFacts::size),
                    optional("parameters", &ModelFacts::parameters),
                    optional("attentionHeads", &ModelFacts::attention_heads),
                    optional("intermediateSize", &ModelFacts::intermediate_size),
                    optional("tokenizerDigest", &ModelFacts::tokenizer_digest),
                    optional("templateDigest", &ModelFacts::template_digest),
                    optional("memory", &ModelFacts::memory)};
}

constexpr auto describe(SourceStatus*) {
  return std::tuple{
      required("source", &SourceStatus::source),     optional("revision", &SourceStatus::revision),
      optional("state", &SourceStatus::state),       optional("message", &SourceStatus::message),
      optional("place", &SourceStatus::place),       optional("file", &SourceStatus::file),
      optional("resolved", &SourceStatus::resolved), optional("size", &SourceStatus::size),
      optional("fetchJob", &SourceStatus::fetch_job)};
}

constexpr auto describe(FindingStatus*) {
  return std::tuple{optional("id", &FindingStatus::id), optional("severity", &FindingStatus::severity),
                    optional("path", &FindingStatus::path), optional("message", &FindingStatus::message),
                    optional("mend", &FindingStatus::mend)};
}

constexpr auto describe(CandidateStatus*) {
  return std::tuple{optional("name", &CandidateStatus::name),
                    optional("state", &CandidateStatus::state),
                    optional("message", &CandidateStatus::message),
                    optional("digest", &CandidateStatus::digest),
                    optional("uri", &CandidateStatus::uri),
                    optional("size", &CandidateStatus::size),
                    optional("quantizeJob", &CandidateStatus::quantize_job),
                    optional("evaluateJob", &CandidateStatus::evaluate_job),
                    optional("bits", &CandidateStatus::bits),
                    optional("toolVersion", &CandidateStatus::tool_version),
                    optional("report", &CandidateStatus::report),
                    optional("calibration", &CandidateStatus::calibration),
                    optional("adapters", &CandidateStatus::adapters),
                    optional("fp16KvLayers", &CandidateStatus::fp16_kv_layers),
                    optional("ladder", &CandidateStatus::ladder),
                    optional("metrics", &CandidateStatus::metrics),
                    optional("collected", &CandidateStatus::collected)};
}

constexpr auto describe(EvaluationInputs*) {
  return std::tuple{optional("base", &EvaluationInputs::base),
                    optional("adapters", &EvaluationInputs::adapters),
                    optional("adaptersDigest", &EvaluationInputs::adapters_digest),
                    optional("tokenizer", &EvaluationInputs::tokenizer),
                    optional("chatTemplate", &EvaluationInputs::chat_template),
                    optional("dataset", &EvaluationInputs::dataset),
                    optional("datasetDigest", &EvaluationInputs::dataset_digest),
                    optional("suites", &EvaluationInputs::suites),
                    optional("engine", &EvaluationInputs::engine),
                    optional("kvType", &EvaluationInputs::kv_type),
                    optional("context", &EvaluationInputs::context),
                    optional("hardware", &EvaluationInputs::hardware),
                    optional("hardwareClass", &EvaluationInputs::hardware_class)};
}

constexpr auto describe(EvaluationStatus*) {
  return std::tuple{optional("inputs", &EvaluationStatus::inputs),
                    optional("round", &EvaluationStatus::round), optional("stale", &EvaluationStatus::stale)};
}

constexpr auto describe(TrafficShare*) {
  return std::tuple{optional("revision", &TrafficShare::revision), optional("digest", &TrafficShare::digest),
                    optional("role", &TrafficShare::role), optional("percent", &TrafficShare::percent)};
}

constexpr auto describe(Route*) {
  return std::tuple{optional("digest", &Route::digest), optional("service", &Route::service),
                    optional("role", &Route::role)};
}

constexpr auto describe(RolloutStatus*) {
  return std::tuple{optional("digest", &RolloutStatus::digest),
                    optional("weight", &RolloutStatus::weight),
                    optional("epoch", &RolloutStatus::epoch),
                    optional("retriedEpoch", &RolloutStatus::retried_epoch),
                    optional("salt", &RolloutStatus::salt),
                    optional("step", &RolloutStatus::step),
                    optional("stepStartedAt", &RolloutStatus::step_started_at),
                    optional("stable", &RolloutStatus::stable),
                    optional("controlPercent", &RolloutStatus::control_percent),
                    optional("routes", &RolloutStatus::routes)};
}

constexpr auto describe(Arms*) {
  return std::tuple{optional("candidate", &Arms::candidate), optional("control", &Arms::control)};
}

constexpr auto describe(ShadowFigures*) {
  return std::tuple{optional("pairs", &ShadowFigures::pairs),
                    optional("disagreement", &ShadowFigures::disagreement)};
}

constexpr auto describe(Verdict*) {
  return std::tuple{optional("digest", &Verdict::digest),
                    optional("epoch", &Verdict::epoch),
                    optional("state", &Verdict::state),
                    optional("reason", &Verdict::reason),
                    optional("detectedBy", &Verdict::detected_by),
                    optional("evidence", &Verdict::evidence),
                    optional("stepAnswers", &Verdict::step_answers),
                    optional("answers", &Verdict::answers),
                    optional("errors", &Verdict::errors),
                    optional("shadow", &Verdict::shadow),
                    optional("badAnswers", &Verdict::bad_answers),
                    optional("firstBadAt", &Verdict::first_bad_at),
                    optional("trippedAt", &Verdict::tripped_at),
                    optional("fp16WantedAt", &Verdict::fp16_wanted_at),
                    optional("fp16At", &Verdict::fp16_at),
                    optional("msTripToFp16", &Verdict::ms_trip_to_fp16),
                    optional("msSinceFirstBad", &Verdict::ms_since_first_bad)};
}

constexpr auto describe(Blocked*) {
  return std::tuple{optional("digest", &Blocked::digest), optional("reason", &Blocked::reason),
                    optional("at", &Blocked::at)};
}

constexpr auto describe(Rollback*) {
  return std::tuple{optional("digest", &Rollback::digest),
                    optional("revision", &Rollback::revision),
                    optional("reason", &Rollback::reason),
                    optional("message", &Rollback::message),
                    optional("detectedBy", &Rollback::detected_by),
                    optional("at", &Rollback::at),
                    optional("weight", &Rollback::weight),
                    optional("badAnswers", &Rollback::bad_answers),
                    optional("msTripToFp16", &Rollback::ms_trip_to_fp16),
                    optional("msSinceFirstBad", &Rollback::ms_since_first_bad)};
}

constexpr auto describe(CommandStatus*) {
  return std::tuple{optional("id", &CommandStatus::id),           optional("verb", &CommandStatus::verb),
                    optional("digest", &CommandStatus::digest),   optional("result", &CommandStatus::result),
                    optional("message", &CommandStatus::message), optional("at", &CommandStatus::at)};
}

constexpr auto describe(QuantizedModelStatus*) {
  return std::tuple{optional("observedGeneration", &QuantizedModelStatus::observed_generation),
                    optional("phase", &QuantizedModelStatus::phase),
                    optional("conditions", &QuantizedModelStatus::conditions),
                    optional("summary", &QuantizedModelStatus::summary),
                    optional("sources", &QuantizedModelStatus::sources),
                    optional("model", &QuantizedModelStatus::model),
                    optional("findings", &QuantizedModelStatus::findings),
                    optional("artifact", &QuantizedModelStatus::artifact),
                    optional("evaluation", &QuantizedModelStatus::evaluation),
                    optional("baseline", &QuantizedModelStatus::baseline),
                    optional("candidates", &QuantizedModelStatus::candidates),
                    optional("leftovers", &QuantizedModelStatus::leftovers),
                    optional("currentRevision", &QuantizedModelStatus::current_revision),
                    optional("stableRevision", &QuantizedModelStatus::stable_revision),
                    optional("traffic", &QuantizedModelStatus::traffic),
                    optional("rollout", &QuantizedModelStatus::rollout),
                    optional("verdict", &QuantizedModelStatus::verdict),
                    optional("blocked", &QuantizedModelStatus::blocked),
                    optional("lastRollback", &QuantizedModelStatus::last_rollback),
                    optional("paused", &QuantizedModelStatus::paused),
                    optional("command", &QuantizedModelStatus::command)};
}

}  // namespace stepdown::api
