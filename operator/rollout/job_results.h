#pragma once

#include <string>

#include "operator/rollout/observed.h"

/// Reads the summaries that Jobs leave as termination messages (ARCHITECTURE.md, "Models, digests,
/// artifacts"). Each throws InputError that names the Job when the summary is not what its program should
/// have written.
namespace stepdown::rollout {

struct FetchResult {
  std::string file;  ///< where the copy is that one file
  std::string resolved;
  std::int64_t size = 0;
};
/// `place`: pvc://claim/folder that it was to be fetched to.
FetchResult read_fetch(const Job& job, const std::string& place);

api::ModelFacts read_inspection(const Job& job);

struct QuantizeResult {
  std::string digest;
  std::string uri;
  std::int64_t size = 0;
  std::optional<double> bits;
  std::string tool_version;
  std::optional<api::Calibration> calibration;
  std::vector<api::MergedAdapter> adapters;
};
QuantizeResult read_quantization(const Job& job, const std::string& claim);

struct EvaluateResult {
  api::Metrics metrics;
  std::string engine;          ///< version that was measured
  std::string dataset_digest;  ///< of the prompts; empty where the report does not tell
  std::vector<std::int64_t> fp16_kv_layers = {};
};
EvaluateResult read_evaluation(const Job& job);

}  // namespace stepdown::rollout
