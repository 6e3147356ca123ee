#include "operator/rollout/names.h"

#include <nlohmann/json.hpp>

#include "engine/base/hash.h"
#include "operator/rollout/sources.h"

namespace stepdown::rollout::names {
namespace {

std::string adapters(const api::QuantizedModel& model) {
  std::string text;
  for (const api::Adapter& each : model.spec.model.adapters) {
    text += ",adapter=" + each.source + "*" + std::to_string(each.weight);
  }
  return text;
}

std::string attention_limit(const api::QuantizedModel& model) {
  const auto& limit = model.spec.kv_cache.max_attention_error;
  return limit && model.spec.kv_cache.type != "fp16" ? ",attention=" + std::to_string(*limit) : "";
}

/// What else an artifact depends on; empty for models that have none of it.
std::string more(const api::QuantizedModel& model) {
  std::string text = adapters(model);
  const api::QuantizationSpec& quantization = model.spec.quantization;
  if (!quantization.imatrix.empty()) text += ",imatrix=" + quantization.imatrix;
  if (const auto& calibration = quantization.calibration) {
    for (const std::string& kind : calibration->redact) text += ",redact=" + kind;
    if (!calibration->redact_names.empty()) text += ",names=" + calibration->redact_names;
  }
  return text;
}

}  // namespace

std::string digest12(const std::string& digest) {
  constexpr std::string_view kPrefix = "sha256:";
  return digest.substr(digest.starts_with(kPrefix) ? kPrefix.size() : 0, 12);
}

std::string artifact_digest(const std::string& uri) {
  constexpr std::string_view kClaim = "pvc://";
  constexpr std::size_t kHexDigits = 64;
  const auto slash = uri.starts_with(kClaim) ? uri.find('/', kClaim.size()) : std::string::npos;
  if (slash == std::string::npos) return "";
  const std::string folder = uri.substr(slash + 1, uri.find('/', slash + 1) - slash - 1);
  const bool hex =
      folder.size() == kHexDigits && folder.find_first_not_of("0123456789abcdef") == std::string::npos;
  return hex ? "sha256:" + folder : "";
}

std::string hash8(std::initializer_list<std::string> parts) {
  std::string text;
  for (const std::string& part : parts) text += std::to_string(part.size()) + ":" + part;
  return sha256_hex(text).substr(0, 8);
}

std::string fp16_engine(const std::string& model) {
  return model + "-fp16";
}
std::string engine(const std::string& model, const std::string& digest) {
  return model + "-" + digest12(digest);
}
std::string revision(const std::string& model, const std::string& digest) {
  return engine(model, digest);
}
std::string gateway(const std::string& model) {
  return model + "-gateway";
}

std::string engines(const std::string& model) {
  return model + "-engines";
}

std::string own_claim(const std::string& model) {
  return model + "-artifacts";
}

std::string claim(const api::QuantizedModel& model) {
  const std::string& given = model.spec.storage.claim_name;
  return given.empty() ? own_claim(model.metadata.name) : given;
}

std::string fetch_job(const api::QuantizedModel& model, const sources::Remote& remote) {
  return model.metadata.name + "-fetch-" +
         hash8({model.metadata.uid, remote.source, remote.revision, remote.secret, claim(model)});
}

std::string inspect_job(const api::QuantizedModel& model) {
  return model.metadata.name + "-inspect-" +
         hash8({model.metadata.uid, model.spec.model.source + sources::base_copy(model)});
}

std::string recheck_job(const api::QuantizedModel& model, const std::string& occasion) {
  return model.metadata.name + "-inspect-" +
         hash8({model.metadata.uid, model.spec.model.source + sources::base_copy(model),
                model.spec.evaluation.dataset, occasion + adapters(model)});
}

std::string verify_job(const api::QuantizedModel& model, const api::Artifact& artifact) {
  const std::string copy = sources::mounted(model, artifact.uri, artifact.digest);
  return model.metadata.name + "-inspect-" +
         hash8({model.metadata.uid, artifact.uri + (copy == artifact.uri ? "" : copy), artifact.digest});
}

std::string quantize_job(const api::QuantizedModel& model, const std::string& base_digest,
                         const api::CandidateSpec& candidate, std::int64_t collected) {
  const auto number = [](const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : "";
  };
  const auto& calibration = model.spec.quantization.calibration;
  return model.metadata.name + "-quant-" +
         hash8({model.metadata.uid, base_digest, claim(model), candidate.method, candidate.preset,
                number(candidate.bits), number(candidate.group_size), calibration ? calibration->source : "",
                calibration ? std::to_string(calibration->samples) : "",
                (collected > 0 ? std::to_string(collected) : "") + more(model) +
                    (candidate.budget.empty() ? "" : ",budget=" + candidate.budget)});
}

std::string collect_job(const api::QuantizedModel& model, const std::vector<std::string>& uris) {
  std::string all;
  for (const std::string& uri : uris) all += uri + "\n";
  return model.metadata.name + "-collect-" + hash8({model.metadata.uid, all});
}

bool is_collect_job(const api::QuantizedModel& model, const std::string& name) {
  return name.starts_with(model.metadata.name + "-collect-");
}

std::string evaluate_job(const api::QuantizedModel& model, const std::string& base_digest,
                         const std::string& digest, std::int64_t context, const std::string& image,
                         std::int64_t round) {
  std::string suites;
  for (const api::RawJson& suite : model.spec.evaluation.suites) suites += suite.text + "\n";
  std::string hardware;
  if (const auto& given = model.spec.serving.hardware) {
    hardware = given->accelerator + "x" + std::to_string(given->count);
    for (const auto& [label, value] : given->node_selector) hardware += "," + label + "=" + value;
  }
  return model.metadata.name + "-eval-" +
         hash8({model.metadata.uid, base_digest, digest, claim(model), model.spec.evaluation.dataset, suites,
                model.spec.kv_cache.type, std::to_string(context), image,
                hardware + adapters(model) + attention_limit(model), round > 0 ? std::to_string(round) : ""});
}

}  // namespace stepdown::rollout::names
