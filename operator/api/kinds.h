#pragma once

#include <nlohmann/json_fwd.hpp>

#include "operator/api/quantized_model_spec.h"
#include "operator/api/quantized_model_status.h"

namespace stepdown::api {

struct QuantizedModel {
  Metadata metadata;
  QuantizedModelSpec spec;
  QuantizedModelStatus status;
};

struct BaseModel {
  std::string digest;
  std::string uri;
  std::string tokenizer_digest;
  std::string template_digest;
};

struct MergedAdapter {
  std::string digest;
  double weight = 1;
};

struct Artifact {
  std::string uri;
  std::string digest;
  std::optional<std::int64_t> size;
};

struct EvaluationRecord {
  std::string dataset;
  std::string tool_version;
  std::string kv_type;
  std::optional<std::int64_t> context_length;
  std::string report;
};

/// spec of QuantRevision: crds/quantrevisions.yaml.
struct QuantRevisionSpec {
  std::string model;
  BaseModel base;
  std::vector<MergedAdapter> adapters;
  std::string method;
  std::string preset;
  std::optional<double> bits;
  std::optional<std::int64_t> group_size;
  std::optional<Calibration> calibration;
  std::string tool_version;
  Artifact artifact;
  std::optional<EvaluationRecord> evaluation;
  Metrics scores;
};

struct QuantRevision {
  Metadata metadata;
  QuantRevisionSpec spec;
};

/// spec of EngineProfile: crds/engineprofiles.yaml.
struct EngineProfileSpec {
  std::string version;
  std::string image;
  std::vector<std::string> args;
  std::vector<std::string> formats;
  std::vector<std::string> kv_types = {"fp16"};
  std::string readiness_path = "/health";
};

struct EngineProfile {
  Metadata metadata;
  EngineProfileSpec spec;
};

/// What to do with a field that the type does not know: files of people refuse it; objects of the API server,
/// which may be of a newer version, ignore it.
enum class UnknownFields { kRefuse, kIgnore };

/// Each throws InputError with the JSON path ("spec.rollout.steps[1].weight") of what is missing or of the
/// wrong type.
QuantizedModel parse_quantized_model(const nlohmann::json& object, UnknownFields unknown);
QuantRevision parse_quant_revision(const nlohmann::json& object, UnknownFields unknown);
EngineProfile parse_engine_profile(const nlohmann::json& object, UnknownFields unknown);

/// Empty texts, lists and objects and unset values are left out.
nlohmann::json print(const QuantizedModelSpec& spec);
nlohmann::json print(const QuantizedModelStatus& status);
nlohmann::json print(const QuantRevisionSpec& spec);
nlohmann::json print(const EngineProfileSpec& spec);
nlohmann::json print(const Condition& condition);

Metadata parse_metadata(const nlohmann::json& object);

/// Metrics of an evaluation report or summary: {"jsonPass": {"value": …}, …}.
Metrics parse_metrics(const nlohmann::json& metrics, const std::string& where);

}  // namespace stepdown::api
