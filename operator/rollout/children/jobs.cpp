#include "operator/rollout/children/jobs.h"

#include "operator/compat/memory_fit.h"
#include "operator/rollout/children/common.h"
#include "operator/rollout/children/engine.h"
#include "operator/rollout/names.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr int kRetries = 2;
constexpr int kFetchRetries = 6;
constexpr int kFetchSeconds = 24 * 3600;
constexpr int kLongestSeconds = 7 * kFetchSeconds;  // of any Job, its retries included: what hangs ends
constexpr std::int64_t kWorkingMemory = 256 << 20;  // beside the weights that a Job maps
constexpr int kCollectSeconds = 600;  // a claim that cannot be mounted holds up no deletion for longer
constexpr int kBadInput = 2;          // exit status: no retry can help

json job(const api::QuantizedModel& model, const Settings& settings, const std::string& name,
         const std::string& container, json args, const Mounts& mounts, json resources) {
  json out = object("batch/v1", "Job", model, name, "job");
  json pod_spec = {{"restartPolicy", "Never"},
                   {"automountServiceAccountToken", false},
                   {"securityContext", pod_security()},
                   {"volumes", mounts.volumes},
                   {"containers",
                    {{{"name", container},
                      {"image", settings.engine_image},
                      {"args", std::move(args)},
                      {"terminationMessagePolicy", "FallbackToLogsOnError"},
                      {"securityContext", container_security()},
                      {"volumeMounts", mounts.mounts}}}}};
  if (!resources.empty()) pod_spec["containers"][0]["resources"] = std::move(resources);
  place(pod_spec, model.spec.serving);
  add_pull_secrets(pod_spec, settings);
  out["spec"] = {
      {"backoffLimit", kRetries},
      {"activeDeadlineSeconds", kLongestSeconds},
      {"podFailurePolicy",
       {{"rules",
         {{{"action", "FailJob"},
           {"onExitCodes", {{"containerName", container}, {"operator", "In"}, {"values", {kBadInput}}}}},
          {{"action", "Ignore"},
           {"onPodConditions", {{{"type", "DisruptionTarget"}, {"status", "True"}}}}}}}}},
      {"template", {{"metadata", {{"labels", labels(model, "job")}}}, {"spec", std::move(pod_spec)}}}};
  return out;
}

/// Matrices that an adapter changes are held as F32.
std::int64_t merged_weights(const api::QuantizedModel& model, const api::ModelFacts& base) {
  return model.spec.model.adapters.empty() ? base.memory.weights : 3 * base.memory.weights;
}

}  // namespace

std::vector<std::string> recipe(const api::QuantizedModel& model, const api::CandidateSpec& candidate) {
  std::vector<std::string> out = {"--method", candidate.method};
  const auto add = [&](const char* flag, const std::string& value) {
    if (value.empty()) return;
    out.emplace_back(flag);
    out.push_back(value);
  };
  add("--preset", candidate.preset);
  if (candidate.bits) add("--bits", std::to_string(*candidate.bits));
  if (candidate.group_size) add("--group-size", std::to_string(*candidate.group_size));
  if (const auto budget = api::parse_quantity(candidate.budget)) add("--budget", std::to_string(*budget));
  if (const auto& calibration = model.spec.quantization.calibration) {
    add("--samples", std::to_string(calibration->samples));
    std::string kinds;
    for (const std::string& kind : calibration->redact) kinds += (kinds.empty() ? "" : ",") + kind;
    add("--redact", kinds);
  }
  if (candidate.method == "qat") {
    add("--max-hours", nlohmann::json(model.spec.quantization.qat.max_hours).dump());
  }
  return out;
}

json fetch_job(const api::QuantizedModel& model, const Settings& settings, const std::string& name,
               const sources::Remote& remote) {
  const std::string claim = names::claim(model);
  Mounts mounts(model);
  mounts.add_claim("artifacts", claim, "/artifacts", /*read_only=*/false);
  json args = {"fetch", "--source", remote.source, "--out",
               "/artifacts/" + sources::folder(sources::place(claim, remote.source, remote.revision))};
  const auto add = [&](const char* flag, const std::string& value) {
    if (value.empty()) return;
    args.push_back(flag);
    args.push_back(value);
  };
  add("--digest", remote.revision);
  if (!remote.secret.empty()) {
    mounts.add_secret("credentials", remote.secret, "/credentials");
    add("--credentials", "/credentials");
  }
  json out = job(model, settings, name, "fetch", std::move(args), mounts,
                 resources(api::ServingSpec{}, kWorkingMemory));
  // A network that fails is waited for, by each pod for minutes and by the Job for longer each time.
  out["spec"]["backoffLimit"] = kFetchRetries;
  out["spec"]["activeDeadlineSeconds"] = kFetchSeconds;
  return out;
}

json inspect_job(const api::QuantizedModel& model, const Settings& settings, const std::string& name) {
  Mounts mounts(model);
  mounts.add_base("base");
  return job(model, settings, name, "inspect", {"inspect", "--model", "/models/base", "--json"}, mounts,
             json::object());
}

json recheck_job(const api::QuantizedModel& model, const Settings& settings, const std::string& name) {
  Mounts mounts(model);
  mounts.add_base("base");
  json args = {"inspect", "--model", "/models/base", "--json"};
  add_adapters(mounts, args, model);
  if (!model.spec.evaluation.dataset.empty()) {
    mounts.add_source("evaluation", model.spec.evaluation.dataset, "/data/evaluation");
    args.push_back("--dataset");
    args.push_back("/data/evaluation");
  }
  return job(model, settings, name, "inspect", std::move(args), mounts, json::object());
}

json verify_job(const api::QuantizedModel& model, const Settings& settings, const std::string& name,
                const api::Artifact& artifact) {
  Mounts mounts(model);
  mounts.add_source("artifact", sources::mounted(model, artifact.uri, artifact.digest), "/models/artifact");
  return job(model, settings, name, "inspect",
             {"inspect", "--model", "/models/artifact", "--json", "--digest-only"}, mounts, json::object());
}

json quantize_job(const api::QuantizedModel& model, const Settings& settings, const std::string& name,
                  const api::ModelFacts& base, const api::CandidateSpec& candidate) {
  Mounts mounts(model);
  mounts.add_base("base");
  mounts.add_claim("artifacts", names::claim(model), "/artifacts", /*read_only=*/false);
  json args = {"quantize", "--model", "/models/base", "--artifacts", "/artifacts"};
  const auto add = [&](const char* flag, const std::string& value) {
    args.push_back(flag);
    args.push_back(value);
  };
  const auto add_source = [&](const char* flag, const char* name, const std::string& source) {
    if (source.empty()) return;
    const std::string path = std::string("/data/") + name;
    mounts.add_source(name, source, path);
    add(flag, path);
  };
  for (const std::string& argument : recipe(model, candidate)) args.push_back(argument);
  add_adapters(mounts, args, model);
  const api::QuantizationSpec& quantization = model.spec.quantization;
  if (quantization.calibration) {
    add_source("--calibration", "calibration", quantization.calibration->source);
    add_source("--redact-names", "redact-names", quantization.calibration->redact_names);
    add_source("--evaluation", "evaluation", model.spec.evaluation.dataset);
  }
  if (candidate.method == "gguf")  // other methods measure their own
    add_source("--imatrix", "imatrix", quantization.imatrix);
  add("--report", "/artifacts/reports/" + name + ".json");
  return job(model, settings, name, "quantize", std::move(args), mounts,
             resources(api::ServingSpec{}, merged_weights(model, base) + kWorkingMemory));
}

namespace {

/// Whether a pod may hold the base model beside the one that is measured: a user's own limit says how much.
bool may_hold(const api::ServingSpec& serving, std::int64_t memory) {
  if (!serving.resources) return true;
  const auto limit = serving.resources->limits.find("memory");
  return limit == serving.resources->limits.end() ||
         api::parse_quantity(limit->second.text).value_or(0) >= memory;
}

}  // namespace

json evaluate_job(const api::QuantizedModel& model, const Settings& settings, const std::string& name,
                  const api::ModelFacts& base, const Measured& measured) {
  Mounts mounts(model);
  mounts.add_claim("artifacts", names::claim(model), "/artifacts", /*read_only=*/false);
  json read = json::array();  // what the measured model is made of beside its files, or compared with
  if (measured.uri.empty()) {
    mounts.add_base("model");
    add_adapters(mounts, read, model);
  } else {
    mounts.add_source("model", measured.uri, "/models/artifact");
  }
  const compat::Footprint footprint =
      compat::footprint(model.spec, base, measured.bytes, "fp16");  // the cache's check keeps both
  std::int64_t memory = footprint.at(2) + kWorkingMemory;
  // Artifacts are compared with FP16 token by token too, one after the other having been served: with the
  // base and the adapters that the artifact has in it.
  if (!measured.uri.empty() && may_hold(model.spec.serving, memory + base.memory.weights)) {
    mounts.add_base("base");
    memory += base.memory.weights;
    read = {"--reference", "/models/base"};
    add_adapters(mounts, read, model, "--reference-adapter");
  }
  mounts.add_source("evaluation", model.spec.evaluation.dataset, "/data/evaluation");
  std::string suites;
  for (const api::RawJson& suite : model.spec.evaluation.suites)
    suites += (suites.empty() ? "" : ",") + suite.text;
  const std::string report = "/artifacts/reports/" + name;
  json args = {"evaluate",
               "--model",
               measured.uri.empty() ? "/models/base" : "/models/artifact",
               "--dataset",
               "/data/evaluation",
               "--suites",
               "[" + suites + "]",
               "--context",
               std::to_string(compat::context_length(model.spec.serving, base)),
               "--kv-type",
               engine_kv_type(measured.kv_type),
               "--report",
               report + ".json",
               "--html",
               report + ".html"};
  args.insert(args.end(), read.begin(), read.end());
  if (const auto& limit = model.spec.kv_cache.max_attention_error; limit && measured.kv_type != "fp16") {
    args.push_back("--max-attention-error");
    args.push_back(json(*limit).dump());
  }
  if (!measured.baseline.empty()) {
    args.push_back("--baseline");
    args.push_back("/artifacts/reports/" + measured.baseline + ".json");
  }
  if (const std::int64_t count = threads(model.spec.serving); count > 0) {
    args.push_back("--threads");
    args.push_back(std::to_string(count));
  }
  return job(model, settings, name, "evaluate", std::move(args), mounts,
             resources(model.spec.serving, memory));
}

json collect_job(const api::QuantizedModel& model, const Settings& settings, const std::string& name,
                 const std::vector<std::string>& uris) {
  constexpr std::size_t kScheme = std::string_view("pvc://").size();
  const std::size_t path = uris.front().find('/', kScheme) + 1;
  Mounts mounts(model);
  mounts.add_claim("artifacts", uris.front().substr(kScheme, path - 1 - kScheme), "/artifacts",
                   /*read_only=*/false);
  json args = {"artifacts", "--dir", "/artifacts"};
  for (const std::string& uri : uris) {
    args.push_back("--remove");
    args.push_back(uri.substr(path));
  }
  json out = job(model, settings, name, "collect", std::move(args), mounts, json::object());
  out["spec"]["activeDeadlineSeconds"] = kCollectSeconds;
  return out;
}

std::string report_uri(const api::QuantizedModel& model, const std::string& evaluate_job) {
  return "pvc://" + names::claim(model) + "/reports/" + evaluate_job + ".html";
}

}  // namespace stepdown::rollout::children
