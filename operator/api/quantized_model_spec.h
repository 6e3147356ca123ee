#pragma once

#include "operator/api/values.h"

/// spec of QuantizedModel, field for field as crds/quantizedmodels.yaml, which describes each; initial values
/// are the schema's defaults. A test walks both.
namespace stepdown::api {

/// A Secret of the model's namespace. Only the kubelet reads it, for the Job that needs it.
struct SecretReference {
  std::string name;
};

struct Adapter {
  std::string source;
  double weight = 1;
  std::optional<SecretReference> secret_ref = {};
};

struct ModelSpec {
  std::string source;
  std::string revision;
  std::optional<SecretReference> secret_ref = {};
  std::vector<Adapter> adapters = {};
};

struct CandidateSpec {
  std::string method;
  std::string preset;
  std::optional<std::int64_t> bits;
  std::optional<std::int64_t> group_size;
  std::string budget = {};  ///< quantity, of method mixed

  /// "gguf/Q4_K_M", "awq/4", "mixed/4Gi", as status and messages name it.
  std::string name() const;
};

struct CalibrationSpec {
  std::string source;
  std::int64_t samples = 512;
  std::vector<std::string> redact = {};
  std::string redact_names = {};
  std::optional<SecretReference> secret_ref = {};
};

struct QatSpec {
  bool enabled = false;
  double max_hours = 8;
};

struct QuantizationSpec {
  std::vector<CandidateSpec> candidates;
  bool ladder = true;
  std::optional<CalibrationSpec> calibration;
  std::string imatrix;
  QatSpec qat;
  std::string from_revision;
};

struct NodeCacheSpec {
  std::string claim_name;
  std::string size;
};

struct StorageSpec {
  std::string claim_name;
  std::string size;
  std::string storage_class;
  std::optional<NodeCacheSpec> node_cache = {};
};

struct KvCacheSpec {
  std::string type = "fp16";
  std::optional<double> max_attention_error;
};

/// As in a Pod.
struct Toleration {
  std::string key;
  std::string op;
  std::string value;
  std::string effect;
  std::optional<std::int64_t> seconds = {};
};

struct HardwareSpec {
  std::string accelerator;
  std::int64_t count = 1;
  std::int64_t nodes = 1;
  std::string memory;
  std::map<std::string, std::string> node_selector;
  std::vector<Toleration> tolerations;
};

struct Resources {
  std::map<std::string, Quantity> requests;
  std::map<std::string, Quantity> limits;
};

struct ServingSpec {
  std::string engine = "stepdown";
  std::optional<std::int64_t> context_length;
  std::int64_t concurrency = 4;
  std::int64_t replicas = 1;
  std::optional<HardwareSpec> hardware;
  std::optional<Resources> resources;
};

struct Slo {
  std::optional<double> min;
  std::optional<double> max;
  std::optional<double> max_drop;
};

struct EvaluationSpec {
  std::string dataset;
  std::optional<SecretReference> secret_ref = {};
  std::string recheck;
  std::vector<RawJson> suites;
  std::map<std::string, Slo> slo;
};

struct Step {
  std::int64_t weight = 0;
  std::string hold = "0s";
  bool approval = false;
};

struct ControlSpec {
  std::int64_t percent = 5;
};

struct FallbackSpec {
  std::int64_t replicas = 1;
  std::string placement = "sameGPU";
  std::string residency = "warm";
};

struct RollbackSpec {
  double alpha = 0.01;
  double ratio = 1.5;
  double max_error_rate = 0.02;
  double latency_p99_ratio = 2;
};

struct ShadowSpec {
  double percent = 1;
  double max_disagreement = 0.2;
};

struct EscalationSpec {
  double min_confidence = 0;
};

struct RolloutSpec {
  bool paused = false;
  std::vector<Step> steps = {{5, "60s"}, {25, "60s"}, {100, "60s"}};
  std::int64_t min_answers = 20;
  ControlSpec control;
  FallbackSpec fallback;
  RollbackSpec rollback;
  ShadowSpec shadow;
  EscalationSpec escalation;
};

struct QuantizedModelSpec {
  bool suspend = false;
  ModelSpec model;
  QuantizationSpec quantization;
  StorageSpec storage;
  KvCacheSpec kv_cache;
  ServingSpec serving;
  EvaluationSpec evaluation;
  RolloutSpec rollout;
};

/// spec.quantization.candidates, or the built-in choice where neither it nor fromRevision is given.
std::vector<CandidateSpec> candidates_of(const QuantizationSpec& quantization);

}  // namespace stepdown::api
