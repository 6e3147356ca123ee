#include "operator/rollout/children/engine.h"

#include <algorithm>

#include "operator/compat/memory_fit.h"
#include "operator/rollout/children/common.h"
#include "operator/rollout/names.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr int kPort = 8080;
constexpr std::int64_t kDrainSeconds = 60;
constexpr std::int64_t kSlowestBytesPerSecond = 50 << 20;  // of a cold network volume
constexpr std::int64_t kStartSeconds = 60;

std::int64_t start_seconds(std::int64_t bytes) {
  return kStartSeconds + bytes / kSlowestBytesPerSecond;
}

json http_probe(const std::string& path, int period, std::int64_t failures) {
  return {{"httpGet", {{"path", path}, {"port", "http"}}},
          {"periodSeconds", period},
          {"timeoutSeconds", 2},
          {"failureThreshold", failures}};
}

struct Parameters {
  std::string model_path;
  std::int64_t context = 0;
  std::int64_t sequences = 1;
  std::string kv_type;
  std::int64_t threads = 0;
};

json bundled_args(const api::QuantizedModel& model, const Engine& engine, const Parameters& given) {
  json args = {"serve",
               "--model",
               given.model_path,
               "--verify-digest",
               engine.digest,
               "--revision",
               engine.digest,
               "--host",
               "$(POD_IP)",
               "--port",
               std::to_string(kPort),
               "--served-model-name",
               model.metadata.name,
               "--context",
               std::to_string(given.context),
               "--max-sequences",
               std::to_string(given.sequences),
               "--kv-type",
               engine_kv_type(given.kv_type)};
  if (given.threads > 0) {
    args.push_back("--threads");
    args.push_back(std::to_string(given.threads));
  }
  return args;
}

/// What EngineProfile arguments may name as $(NAME).
json profile_env(const api::QuantizedModel& model, const Parameters& given) {
  return {{{"name", "MODEL_PATH"}, {"value", given.model_path}},
          {{"name", "MODEL_NAME"}, {"value", model.metadata.name}},
          {{"name", "PORT"}, {"value", std::to_string(kPort)}},
          {{"name", "CONTEXT_LENGTH"}, {"value", std::to_string(given.context)}},
          {{"name", "MAX_SEQUENCES"}, {"value", std::to_string(given.sequences)}},
          {{"name", "KV_TYPE"}, {"value", given.kv_type}}};
}

json container(const api::QuantizedModel& model, const Settings& settings,
               const std::optional<api::EngineProfile>& profile, const Engine& engine,
               const Parameters& given) {
  json env = {{{"name", "POD_IP"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "status.podIP"}}}}}}};
  if (profile) {
    for (const json& each : profile_env(model, given)) env.push_back(each);
  }
  const std::string ready = profile ? profile->spec.readiness_path : "/readyz";
  const std::string alive = profile ? profile->spec.readiness_path : "/healthz";
  return {{"name", "engine"},
          {"image", profile ? profile->spec.image : settings.engine_image},
          {"args", profile ? json(profile->spec.args) : bundled_args(model, engine, given)},
          {"env", std::move(env)},
          {"ports", {{{"name", "http"}, {"containerPort", kPort}}}},
          {"startupProbe", http_probe(ready, 1, start_seconds(engine.bytes))},
          {"readinessProbe", http_probe(ready, 2, 2)},
          {"livenessProbe", http_probe(alive, 10, 6)},
          {"securityContext", container_security()}};
}

}  // namespace

std::string engine_kv_type(const std::string& kv_type) {
  return kv_type == "fp16" ? "f16" : kv_type;
}

std::vector<json> engine(const api::QuantizedModel& model, const Settings& settings,
                         const std::optional<api::EngineProfile>& profile, const api::ModelFacts& base,
                         const Engine& engine) {
  const std::string kv_type = engine.fp16 ? "fp16" : model.spec.kv_cache.type;
  const compat::Footprint footprint = compat::footprint(model.spec, base, engine.bytes, kv_type);
  const Parameters given{
      .model_path = engine.fp16 ? "/models/base" : "/models/artifact",
      .context = compat::context_length(model.spec.serving, base),
      .sequences = std::max<std::int64_t>(1, compat::sequences_that_fit(model.spec, footprint)),
      .kv_type = kv_type,
      .threads = threads(model.spec.serving)};
  Mounts mounts;
  mounts.add_source("model", engine.source, given.model_path);

  json pod_labels = labels(model, "engine");
  pod_labels[kRevisionLabel] = names::digest12(engine.digest);
  // The selector never changes, as the API server refuses; the base's engine keeps its name when its source
  // changes.
  json selector = {{"app.kubernetes.io/name", "engine"},
                   {"app.kubernetes.io/instance", model.metadata.name},
                   {"stepdown.dev/engine", engine.name}};
  pod_labels["stepdown.dev/engine"] = engine.name;

  json pod = container(model, settings, profile, engine, given);
  pod["volumeMounts"] = mounts.mounts;
  pod["resources"] = resources(model.spec.serving, footprint.at(given.sequences));
  json pod_spec = {{"automountServiceAccountToken", false},
                   {"securityContext", pod_security()},
                   {"terminationGracePeriodSeconds", kDrainSeconds},
                   {"volumes", mounts.volumes},
                   {"containers", {std::move(pod)}}};
  place(pod_spec, model.spec.serving);

  json deployment = object("apps/v1", "Deployment", model, engine.name, "engine");
  deployment["metadata"]["labels"][kRevisionLabel] = names::digest12(engine.digest);
  deployment["spec"] = {
      {"replicas", engine.replicas},
      {"revisionHistoryLimit", 2},
      {"progressDeadlineSeconds", start_seconds(engine.bytes) + kDrainSeconds},
      {"strategy", {{"type", "RollingUpdate"}, {"rollingUpdate", {{"maxUnavailable", 0}, {"maxSurge", 1}}}}},
      {"selector", {{"matchLabels", selector}}},
      {"template", {{"metadata", {{"labels", pod_labels}}}, {"spec", std::move(pod_spec)}}}};

  json service = object("v1", "Service", model, engine.name, "engine");
  service["metadata"]["labels"][kRevisionLabel] = names::digest12(engine.digest);
  service["spec"] = {
      {"clusterIP", "None"},
      {"selector", selector},
      {"ports", {{{"name", "http"}, {"port", kPort}, {"targetPort", "http"}, {"protocol", "TCP"}}}}};
  return {stamped(std::move(deployment)), stamped(std::move(service))};
}

}  // namespace stepdown::rollout::children
