#include "operator/rollout/job_results.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/compat/adapters.h"
#include "operator/rollout/sources.h"

namespace stepdown::rollout {
namespace {

using nlohmann::json;

constexpr std::string_view kArtifacts = "/artifacts/";

json summary_of(const Job& job) {
  json summary = json::parse(job.summary, nullptr, /*allow_exceptions=*/false);
  if (!summary.is_object()) {
    throw InputError("Job " + job.name + " left no JSON summary", "termination message",
                     "check that the engine image is the operator's own version");
  }
  return summary;
}

const json* find(const json& summary, std::initializer_list<const char*> path) {
  const json* at = &summary;
  for (const char* name : path) {
    if (!at->is_object()) return nullptr;
    const auto found = at->find(name);
    if (found == at->end() || found->is_null()) return nullptr;
    at = &*found;
  }
  return at;
}

std::string text(const json& summary, std::initializer_list<const char*> path) {
  const json* found = find(summary, path);
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

std::vector<std::string> texts(const json& summary, const char* name) {
  const json* list = find(summary, {name});
  std::vector<std::string> out;
  if (list == nullptr || !list->is_array()) return out;
  for (const json& each : *list) {
    if (each.is_string()) out.push_back(each.get<std::string>());
  }
  return out;
}

std::int64_t integer(const json& summary, std::initializer_list<const char*> path) {
  const json* found = find(summary, path);
  if (found == nullptr || !found->is_number()) return 0;
  const double value = found->get<double>();
  return value >= 0 && value < 9e18 ? static_cast<std::int64_t>(value) : 0;
}

std::optional<double> number(const json& summary, std::initializer_list<const char*> path) {
  const json* found = find(summary, path);
  return found != nullptr && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

std::string digest_of(const json& summary, const Job& job) {
  std::string digest = text(summary, {"digest"});
  constexpr std::size_t kLength = 7 + 64;
  const bool valid = digest.size() == kLength && digest.starts_with("sha256:") &&
                     digest.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
  if (!valid) {
    throw InputError("Job " + job.name + " reports no digest", "digest",
                     "check that the engine image is the operator's own version");
  }
  return digest;
}

}  // namespace

FetchResult read_fetch(const Job& job, const std::string& place) {
  const json summary = summary_of(job);
  const std::string folder = std::string(kArtifacts) + sources::folder(place);
  const std::string path = text(summary, {"path"});
  const std::string file =
      path.size() > folder.size() && path.starts_with(folder + "/") ? path.substr(folder.size() + 1) : "";
  if ((path != folder && file.empty()) || file.find('/') != std::string::npos) {
    throw InputError("Job " + job.name + " did not fetch to " + folder, "path",
                     "check that the engine image is the operator's own version");
  }
  return {file, text(summary, {"resolved"}), integer(summary, {"size"})};
}

api::ModelFacts read_inspection(const Job& job) {
  const json summary = summary_of(job);
  api::ModelFacts facts{
      .inspect_job = job.name,
      .dataset_digest = text(summary, {"datasetDigest"}),
      .adapters_digest = compat::adapters_digest(texts(summary, "adapters")),
      .digest = digest_of(summary, job),
      .format = text(summary, {"format"}),
      .architecture = text(summary, {"architecture"}),
      .context_length = integer(summary, {"config", "contextLength"}),
      .size = integer(summary, {"size"}),
      .parameters = integer(summary, {"parameters"}),
      .attention_heads = integer(summary, {"config", "heads"}),
      .intermediate_size = integer(summary, {"config", "feedForward"}),
      .tokenizer_digest = text(summary, {"tokenizerDigest"}),
      .template_digest = text(summary, {"templateDigest"}),
      .memory = {.layers = integer(summary, {"config", "layers"}),
                 .weights = integer(summary, {"memory", "weights"}),
                 .kv_per_token = integer(summary, {"memory", "kvPerToken"}),
                 .kv_windowed_per_token = integer(summary, {"memory", "kvWindowedPerToken"}),
                 .kv_window = integer(summary, {"memory", "kvWindow"}),
                 .kv_expanded_per_token = integer(summary, {"memory", "kvExpandedPerToken"}),
                 .kv_heads = integer(summary, {"memory", "kvHeads"}),
                 .head_dim = integer(summary, {"memory", "headDim"}),
                 .activations = integer(summary, {"memory", "activations"}),
                 .repackable = integer(summary, {"memory", "repackable"})}};
  if (facts.memory.weights == 0) facts.memory.weights = facts.size;
  return facts;
}

QuantizeResult read_quantization(const Job& job, const std::string& claim) {
  const json summary = summary_of(job);
  const std::string path = text(summary, {"path"});
  if (!path.starts_with(kArtifacts) || path.find("..") != std::string::npos) {
    throw InputError("Job " + job.name + " reports no artifact below /artifacts", "path",
                     "check that the engine image is the operator's own version");
  }
  QuantizeResult result{.digest = digest_of(summary, job),
                        .uri = "pvc://" + claim + "/" + path.substr(kArtifacts.size()),
                        .size = integer(summary, {"size"}),
                        .tool_version = text(summary, {"toolVersion"})};
  result.bits = number(summary, {"bits"});
  if (find(summary, {"calibration"}) != nullptr) {
    result.calibration = api::Calibration{
        text(summary, {"calibration", "digest"}), integer(summary, {"calibration", "samples"}),
        number(summary, {"calibration", "drift", "score"}), text(summary, {"calibration", "imatrix"})};
  }
  if (const json* adapters = find(summary, {"adapters"}); adapters != nullptr && adapters->is_array()) {
    for (const json& each : *adapters) {
      result.adapters.push_back({text(each, {"digest"}), number(each, {"weight"}).value_or(1)});
    }
  }
  return result;
}

EvaluateResult read_evaluation(const Job& job) {
  const json summary = summary_of(job);
  const json* metrics = find(summary, {"metrics"});
  if (metrics == nullptr) {
    throw InputError("Job " + job.name + " reports no metrics", "metrics",
                     "check that the engine image is the operator's own version");
  }
  EvaluateResult result{api::parse_metrics(*metrics, "metrics"), text(summary, {"setting", "engine"}),
                        text(summary, {"setting", "dataset"})};
  if (const json* layers = find(summary, {"kvCache", "f16Layers"}); layers != nullptr && layers->is_array()) {
    for (const json& layer : *layers) {
      if (layer.is_number_unsigned()) result.fp16_kv_layers.push_back(layer.get<std::int64_t>());
    }
  }
  return result;
}

}  // namespace stepdown::rollout
