#include "operator/rollout/children/engine.h"

#include <algorithm>

#include "operator/compat/hardware.h"
#include "operator/compat/matrix.h"
#include "operator/compat/memory_fit.h"
#include "operator/rollout/children/common.h"
#include "operator/rollout/children/node_cache.h"
#include "operator/rollout/names.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr int kPort = 8080;
constexpr const char* kBasePath = "/models/base";
constexpr std::int64_t kSlowestBytesPerSecond = 50 << 20;  // of a cold network volume
constexpr std::int64_t kStartSeconds = 60;

std::int64_t start_seconds(std::int64_t bytes) {
  return kStartSeconds + bytes / kSlowestBytesPerSecond;
}

/// Until a new pod serves, its copy to the node included.
std::int64_t deadline_seconds(const api::QuantizedModel& model, std::int64_t bytes) {
  const std::int64_t copies = model.spec.storage.node_cache ? 1 : 0;
  return (1 + copies) * start_seconds(bytes) + kLingerSeconds + kDrainSeconds;
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
  std::vector<std::int64_t> fp16_kv_layers = {};
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
  std::string layers;
  for (const std::int64_t layer : given.fp16_kv_layers) {
    layers += (layers.empty() ? "" : ",") + std::to_string(layer);
  }
  if (!layers.empty()) {
    args.push_back("--kv-f16-layers");
    args.push_back(layers);
  }
  if (given.threads > 0) {
    args.push_back("--threads");
    args.push_back(std::to_string(given.threads));
  }
  return args;
}

std::string accelerator(const api::ServingSpec& serving) {
  return serving.hardware ? serving.hardware->accelerator : "";
}

/// Of one pod.
std::int64_t accelerators(const api::ServingSpec& serving) {
  return accelerator(serving).empty() ? 1
                                      : std::max<std::int64_t>(1, serving.hardware->count / nodes(serving));
}

/// The profile's arguments, and those that its rows ask for with this format, cache and number of
/// accelerators.
json profile_args(const api::QuantizedModel& model, const std::optional<api::EngineProfile>& profile,
                  const std::string& format, const api::ModelFacts& base, const Parameters& given) {
  json args = profile->spec.args;
  const auto append = [&](const std::vector<std::string>& more) {
    for (const std::string& each : more) args.push_back(each);
  };
  const api::ServingSpec& serving = model.spec.serving;
  if (accelerators(serving) > 1) append(profile->spec.parallel_args);
  if (nodes(serving) > 1) append(profile->spec.group_args);
  const std::string hardware = compat::hardware_of(
      serving.hardware ? serving.hardware->node_selector : std::map<std::string, std::string>{},
      accelerator(serving));
  const compat::EngineSupport engine(serving.engine, profile);
  const compat::Question question{format, given.kv_type, hardware, base.architecture};
  if (const auto* row = engine.loads(question).row) append(row->args);
  if (const auto* row = engine.keeps_cache(question).row) append(row->args);
  return args;
}

/// What EngineProfile arguments may name as $(NAME).
json profile_env(const api::QuantizedModel& model, const Parameters& given) {
  return {{{"name", "MODEL_PATH"}, {"value", given.model_path}},
          {{"name", "BASE_PATH"}, {"value", kBasePath}},
          {{"name", "TOTAL_CONTEXT"}, {"value", std::to_string(given.context * given.sequences)}},
          {{"name", "ACCELERATORS"}, {"value", std::to_string(accelerators(model.spec.serving))}},
          {{"name", "MODEL_NAME"}, {"value", model.metadata.name}},
          {{"name", "PORT"}, {"value", std::to_string(kPort)}},
          {{"name", "CONTEXT_LENGTH"}, {"value", std::to_string(given.context)}},
          {{"name", "MAX_SEQUENCES"}, {"value", std::to_string(given.sequences)}},
          {{"name", "KV_TYPE"}, {"value", given.kv_type}}};
}

json container(const api::QuantizedModel& model, const Settings& settings,
               const std::optional<api::EngineProfile>& profile, const api::ModelFacts& base,
               const Engine& engine, const Parameters& given) {
  json env = {{{"name", "POD_IP"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "status.podIP"}}}}}}};
  if (profile) {
    for (const json& each : profile_env(model, given)) env.push_back(each);
    for (const auto& [name, value] : profile->spec.env) env.push_back({{"name", name}, {"value", value}});
  }
  // Artifacts tell their format by their files; what config.json says needs no argument.
  const std::string format = engine.fp16 ? base.format : engine.source.ends_with(".gguf") ? "gguf" : "";
  std::string ready = "/readyz", alive = "/healthz";
  if (profile)
    ready = alive = profile->spec.readiness_path.empty() ? "/health" : profile->spec.readiness_path;
  json out = {{"name", "engine"},
              {"image", profile ? compat::image_for(profile->spec, accelerator(model.spec.serving))
                                : settings.engine_image},
              {"args", profile ? profile_args(model, profile, format, base, given)
                               : bundled_args(model, engine, given)},
              {"env", std::move(env)},
              {"ports", {{{"name", "http"}, {"containerPort", kPort}}}},
              {"startupProbe", http_probe(ready, 1, start_seconds(engine.bytes))},
              {"readinessProbe", http_probe(ready, 2, 2)},
              {"livenessProbe", http_probe(alive, 10, 6)},
              {"lifecycle", lingering()},
              {"securityContext", container_security()}};
  if (profile && !profile->spec.command.empty()) out["command"] = profile->spec.command;
  return out;
}

/// A whole accelerator is one pod's alone; of one that pods share (time-slicing, MIG) another is surely had
/// on another node.
bool shared(const std::string& accelerator) {
  return accelerator.ends_with(".shared") || accelerator.find("/mig-") != std::string::npos;
}

void keep_apart(json& pod_spec, const api::QuantizedModel& model, const Engine& engine) {
  const json others = {
      {"matchLabels", {{"app.kubernetes.io/name", "engine"}, {kModelLabel, model.metadata.name}}},
      {"matchExpressions",
       {{{"key", kRevisionLabel}, {"operator", "NotIn"}, {"values", {names::digest12(engine.digest)}}}}}};
  pod_spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = {
      {{"labelSelector", others}, {"topologyKey", "kubernetes.io/hostname"}}};
}

json deployment(const api::QuantizedModel& model, const Engine& engine, const json& selector,
                const json& pod_labels, json pod_spec) {
  json out = object("apps/v1", "Deployment", model, engine.name, "engine");
  out["spec"] = {
      {"replicas", engine.replicas},
      {"revisionHistoryLimit", 2},
      {"progressDeadlineSeconds", deadline_seconds(model, engine.bytes)},
      {"strategy", {{"type", "RollingUpdate"}, {"rollingUpdate", {{"maxUnavailable", 0}, {"maxSurge", 1}}}}},
      {"selector", {{"matchLabels", selector}}},
      {"template", {{"metadata", {{"labels", pod_labels}}}, {"spec", std::move(pod_spec)}}}};
  return out;
}

/// A replica of several pods, one a node (lws.sigs.k8s.io). The leader alone serves HTTP and carries the
/// labels that the Service selects. Each group has a headless Service of its own: the set's name is our
/// Service's.
json leader_worker_set(const api::QuantizedModel& model, const Engine& engine, const json& pod_labels,
                       json pod_spec, const std::vector<std::string>& worker_args) {
  json worker_spec = pod_spec;
  json& worker = worker_spec["containers"][0];
  for (const char* field : {"ports", "startupProbe", "readinessProbe", "livenessProbe"}) worker.erase(field);
  for (const std::string& each : worker_args) worker["args"].push_back(each);
  json out = object("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", model, engine.name, "engine");
  out["spec"] = {
      {"replicas", engine.replicas},
      {"startupPolicy", "LeaderCreated"},
      {"networkConfig", {{"subdomainPolicy", "UniquePerReplica"}}},
      {"rolloutStrategy",
       {{"type", "RollingUpdate"}, {"rollingUpdateConfiguration", {{"maxUnavailable", 0}, {"maxSurge", 1}}}}},
      {"leaderWorkerTemplate",
       {{"size", nodes(model.spec.serving)},
        {"restartPolicy", "RecreateGroupOnPodRestart"},
        {"leaderTemplate", {{"metadata", {{"labels", pod_labels}}}, {"spec", std::move(pod_spec)}}},
        {"workerTemplate",
         {{"metadata", {{"labels", labels(model, "engine-worker")}}}, {"spec", std::move(worker_spec)}}}}}};
  return out;
}

}  // namespace

std::string engine_kv_type(const std::string& kv_type) {
  return kv_type == "fp16" ? "f16" : kv_type;
}

std::vector<json> engine(const api::QuantizedModel& model, const Settings& settings,
                         const std::optional<api::EngineProfile>& profile, const api::ModelFacts& base,
                         const Engine& engine) {
  // A profile of the bundled engine may say what it accepts without replacing it.
  static const std::optional<api::EngineProfile> kBundled;
  const bool replaces = profile && !(profile->spec.image.empty() && profile->spec.images.empty());
  const std::optional<api::EngineProfile>& server = replaces ? profile : kBundled;
  const compat::Footprint footprint = compat::footprint(model.spec, base, engine.bytes, engine.kv_type,
                                                        profile, engine.fp16_kv_layers.size());
  const std::string mounted = engine.fp16 ? kBasePath : "/models/artifact";
  const Parameters given{
      .model_path = model.spec.storage.node_cache ? kServedPath : mounted,
      .context = compat::context_length(model.spec.serving, base),
      .sequences = std::max<std::int64_t>(1, compat::sequences_that_fit(model.spec, footprint, profile)),
      .kv_type = engine.kv_type,
      .fp16_kv_layers = engine.fp16_kv_layers,
      .threads = threads(model.spec.serving)};
  Mounts mounts(model);
  mounts.add_source("model", engine.source, mounted);
  json adapters = json::array();
  if (engine.fp16) add_adapters(mounts, adapters, model);  // they are part of every artifact
  if (const auto& cache = model.spec.storage.node_cache) mount_node_cache(mounts, *cache);
  if (server) {
    if (!engine.fp16) mounts.add_base("base");
    for (std::size_t i = 0; i < server->spec.scratch.size(); ++i) {
      mounts.add_scratch("scratch-" + std::to_string(i), server->spec.scratch[i]);
    }
  }

  json pod_labels = labels(model, "engine");
  pod_labels[kRevisionLabel] = names::digest12(engine.digest);
  // The selector never changes, as the API server refuses; the base's engine keeps its name when its source
  // changes.
  json selector = {{"app.kubernetes.io/name", "engine"},
                   {"app.kubernetes.io/instance", model.metadata.name},
                   {"stepdown.dev/engine", engine.name}};
  pod_labels["stepdown.dev/engine"] = engine.name;
  // FP16 merges its adapters when it starts: other files behind their names are another template.
  if (const auto& measured = model.status.evaluation;
      engine.fp16 && measured && measured->round > 0 && !measured->inputs.adapters_digest.empty()) {
    pod_labels["stepdown.dev/adapters"] = names::digest12(measured->inputs.adapters_digest);
  }

  json pod = container(model, settings, server, base, engine, given);
  pod["args"].insert(pod["args"].end(), adapters.begin(), adapters.end());
  pod["volumeMounts"] = mounts.mounts;
  pod["resources"] = resources(model.spec.serving, footprint.at(given.sequences) / nodes(model.spec.serving));
  json pod_spec = {{"automountServiceAccountToken", false},
                   {"securityContext", pod_security()},
                   {"terminationGracePeriodSeconds", kLingerSeconds + kDrainSeconds},
                   {"volumes", mounts.volumes},
                   {"containers", {std::move(pod)}}};
  if (const auto& cache = model.spec.storage.node_cache) {
    add_node_cache(pod_spec, *cache, settings, {.digest = engine.digest, .mounted = mounted});
  }
  place(pod_spec, model.spec.serving);
  add_pull_secrets(pod_spec, settings);
  const bool elsewhere = engine.fp16 && model.spec.rollout.fallback.placement == "otherGPU";
  if (elsewhere && shared(accelerator(model.spec.serving))) keep_apart(pod_spec, model, engine);

  json workload =
      nodes(model.spec.serving) > 1 && server
          ? leader_worker_set(model, engine, pod_labels, std::move(pod_spec), server->spec.worker_args)
          : deployment(model, engine, selector, pod_labels, std::move(pod_spec));
  workload["metadata"]["labels"][kRevisionLabel] = names::digest12(engine.digest);

  json service = object("v1", "Service", model, engine.name, "engine");
  service["metadata"]["labels"][kRevisionLabel] = names::digest12(engine.digest);
  service["spec"] = {
      {"clusterIP", "None"},
      {"selector", selector},
      {"ports", {{{"name", "http"}, {"port", kPort}, {"targetPort", "http"}, {"protocol", "TCP"}}}}};
  return {stamped(std::move(workload)), stamped(std::move(service))};
}

}  // namespace stepdown::rollout::children
