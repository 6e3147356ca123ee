#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine/base/error.h"
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

struct Artifact {
  std::string uri;
  std::string digest;
  std::optional<std::int64_t> size;
};

struct EvaluationRecord {
  std::string dataset;
  std::string dataset_digest;
  std::string identity;  ///< hash over all that the scores hold for
  std::string tool_version;
  std::string kv_type;
  std::vector<std::int64_t> fp16_kv_layers;  ///< whose cache stays FP16
  std::optional<std::int64_t> context_length;
  std::string report;
  std::string engine;                   ///< that serves it, as spec.serving.engine
  std::string engine_version;           ///< of its EngineProfile, or of the bundled engine's image
  std::optional<std::string> hardware;  ///< accelerator; "" is CPUs
  std::string hardware_class;           ///< of compat/hardware.h; empty where it was not known
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
  std::vector<std::string> recipe;  ///< arguments of `stepdown-engine quantize`, without paths
  Artifact artifact;
  std::optional<EvaluationRecord> evaluation;
  Metrics scores;
};

struct QuantRevision {
  Metadata metadata;
  QuantRevisionSpec spec;
};

/// One thing that is known of an engine. A row speaks about what it names, and leaves open what it does not;
/// the first row that fits decides.
struct Support {
  std::vector<std::string> formats;        ///< of weights: compat/methods.h
  std::vector<std::string> kv_types;       ///< a row with these is about the KV cache
  std::vector<std::string> hardware;       ///< classes of compat/hardware.h, or groups of them
  std::vector<std::string> architectures;  ///< alone: what the engine can run at all; "*" is any
  std::vector<std::int64_t> bits;          ///< of the format's weights; none: any
  std::string versions;                    ///< of the engine: ">=0.6 <0.9"
  std::string verdict = "works";           ///< works, degraded or refused
  std::string note;                        ///< what degrades, or why not
  std::vector<std::string> args;           ///< server arguments that this needs
  std::string source;                      ///< URL that says so
};

/// What an engine takes beside weights, KV cache and activations.
struct EngineMemory {
  std::string overhead;               ///< quantity an accelerator: CUDA context and graphs, allocator
  std::optional<double> utilization;  ///< share of the memory that it uses at most; none: all
};

/// spec of EngineProfile: crds/engineprofiles.yaml.
struct EngineProfileSpec {
  std::string version;
  std::string image;
  std::map<std::string, std::string> images;  ///< by accelerator (extended resource), in place of `image`
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::vector<std::string> parallel_args;
  std::vector<std::string> group_args;   ///< where a replica spans nodes: every pod's
  std::vector<std::string> worker_args;  ///< and those of pods beside the leader
  std::map<std::string, std::string> env;
  std::vector<std::string> scratch;
  std::vector<std::string> formats;
  std::vector<std::string> kv_types = {"fp16"};
  std::vector<Support> support;
  EngineMemory memory;
  std::string readiness_path;  ///< empty: /health
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

/// The same of a file of people, with all that is wrong below spec in `faults` and what could be read
/// returned.
QuantizedModel parse_quantized_model(const nlohmann::json& object, std::vector<InputError>& faults);
QuantRevision parse_quant_revision(const nlohmann::json& object, std::vector<InputError>& faults);
EngineProfile parse_engine_profile(const nlohmann::json& object, std::vector<InputError>& faults);

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
