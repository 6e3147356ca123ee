#pragma once

#include "operator/api/describe_status.h"

/// One row a field of the specs of QuantRevision and EngineProfile. Private to this room and its tests.
namespace stepdown::api {

constexpr auto describe(BaseModel*) {
  return std::tuple{required("digest", &BaseModel::digest), optional("uri", &BaseModel::uri),
                    optional("tokenizerDigest", &BaseModel::tokenizer_digest),
                    optional("templateDigest", &BaseModel::template_digest)};
}

constexpr auto describe(Artifact*) {
  return std::tuple{required("uri", &Artifact::uri), required("digest", &Artifact::digest),
                    optional("size", &Artifact::size)};
}

constexpr auto describe(EvaluationRecord*) {
  return std::tuple{optional("dataset", &EvaluationRecord::dataset),
                    optional("datasetDigest", &EvaluationRecord::dataset_digest),
                    optional("identity", &EvaluationRecord::identity),
                    optional("toolVersion", &EvaluationRecord::tool_version),
                    optional("kvType", &EvaluationRecord::kv_type),
                    optional("fp16KvLayers", &EvaluationRecord::fp16_kv_layers),
                    optional("contextLength", &EvaluationRecord::context_length),
                    optional("report", &EvaluationRecord::report),
                    optional("engine", &EvaluationRecord::engine),
                    optional("engineVersion", &EvaluationRecord::engine_version),
                    optional("hardware", &EvaluationRecord::hardware),
                    optional("hardwareClass", &EvaluationRecord::hardware_class)};
}

constexpr auto describe(QuantRevisionSpec*) {
  return std::tuple{optional("model", &QuantRevisionSpec::model),
                    required("base", &QuantRevisionSpec::base),
                    optional("adapters", &QuantRevisionSpec::adapters),
                    required("method", &QuantRevisionSpec::method),
                    optional("preset", &QuantRevisionSpec::preset),
                    optional("bits", &QuantRevisionSpec::bits),
                    optional("groupSize", &QuantRevisionSpec::group_size),
                    optional("calibration", &QuantRevisionSpec::calibration),
                    optional("toolVersion", &QuantRevisionSpec::tool_version),
                    optional("recipe", &QuantRevisionSpec::recipe),
                    required("artifact", &QuantRevisionSpec::artifact),
                    optional("evaluation", &QuantRevisionSpec::evaluation),
                    optional("scores", &QuantRevisionSpec::scores)};
}

constexpr auto describe(Support*) {
  return std::tuple{
      optional("formats", &Support::formats),   optional("kvTypes", &Support::kv_types),
      optional("hardware", &Support::hardware), optional("architectures", &Support::architectures),
      optional("bits", &Support::bits),         optional("versions", &Support::versions),
      optional("verdict", &Support::verdict),   optional("note", &Support::note),
      optional("args", &Support::args),         optional("source", &Support::source)};
}

constexpr auto describe(EngineMemory*) {
  return std::tuple{optional("overhead", &EngineMemory::overhead),
                    optional("utilization", &EngineMemory::utilization)};
}

constexpr auto describe(EngineProfileSpec*) {
  return std::tuple{optional("version", &EngineProfileSpec::version),
                    optional("image", &EngineProfileSpec::image),
                    optional("images", &EngineProfileSpec::images),
                    optional("command", &EngineProfileSpec::command),
                    optional("args", &EngineProfileSpec::args),
                    optional("parallelArgs", &EngineProfileSpec::parallel_args),
                    optional("groupArgs", &EngineProfileSpec::group_args),
                    optional("workerArgs", &EngineProfileSpec::worker_args),
                    optional("env", &EngineProfileSpec::env),
                    optional("scratch", &EngineProfileSpec::scratch),
                    optional("formats", &EngineProfileSpec::formats),
                    optional("kvTypes", &EngineProfileSpec::kv_types),
                    optional("support", &EngineProfileSpec::support),
                    optional("memory", &EngineProfileSpec::memory),
                    optional("readinessPath", &EngineProfileSpec::readiness_path)};
}

}  // namespace stepdown::api
