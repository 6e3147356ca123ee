#include "operator/rollout/children/common.h"

#include <algorithm>

#include "engine/base/hash.h"
#include "operator/api/describe_spec.h"
#include "operator/rollout/sources.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr std::int64_t kUser = 65532;  // "nonroot" of distroless images

}  // namespace

json labels(const api::QuantizedModel& model, const std::string& part) {
  return {{"app.kubernetes.io/managed-by", "stepdown"},
          {"app.kubernetes.io/name", part},
          {"app.kubernetes.io/instance", model.metadata.name},
          {kModelLabel, model.metadata.name}};
}

json object(const std::string& api_version, const std::string& kind, const api::QuantizedModel& model,
            const std::string& name, const std::string& part, Owned owned) {
  json out = {
      {"apiVersion", api_version},
      {"kind", kind},
      {"metadata", {{"name", name}, {"namespace", model.metadata.ns}, {"labels", labels(model, part)}}}};
  if (owned == Owned::kYes) {
    out["metadata"]["ownerReferences"] = json::array({{{"apiVersion", api::kApiVersion},
                                                       {"kind", "QuantizedModel"},
                                                       {"name", model.metadata.name},
                                                       {"uid", model.metadata.uid},
                                                       {"controller", true},
                                                       {"blockOwnerDeletion", true}}});
  }
  return out;
}

json stamped(json object) {
  object["metadata"]["annotations"][kAppliedHash] = sha256_hex(object.dump()).substr(0, 16);
  return object;
}

void Mounts::add_base(const std::string& name) {
  add_source(name, sources::base(model), "/models/base");
}

void Mounts::add_source(const std::string& name, const std::string& given, const std::string& path) {
  const std::string source = sources::mounted(model, given);
  constexpr std::string_view kFile = "file://", kClaim = "pvc://";
  json mount = {{"name", name}, {"mountPath", path}, {"readOnly", true}};
  if (source.starts_with(kClaim)) {
    const std::string rest = source.substr(kClaim.size());
    const auto slash = rest.find('/');
    const std::string sub_path = slash == std::string::npos ? "" : rest.substr(slash + 1);
    if (!sub_path.empty()) mount["subPath"] = sub_path;
    mount["name"] = volume_of_claim(name, rest.substr(0, slash));
  } else {
    const std::string file = source.starts_with(kFile) ? source.substr(kFile.size()) : source;
    volumes.push_back({{"name", name}, {"hostPath", {{"path", file}}}});
  }
  mounts.push_back(std::move(mount));
}

void Mounts::add_claim(const std::string& name, const std::string& claim, const std::string& path,
                       bool read_only) {
  json mount = {{"name", volume_of_claim(name, claim)}, {"mountPath", path}};
  if (read_only) mount["readOnly"] = true;
  mounts.push_back(std::move(mount));
}

std::string Mounts::volume_of_claim(const std::string& name, const std::string& claim) {
  const json source = {{"claimName", claim}};
  for (const json& volume : volumes) {
    if (volume.value("persistentVolumeClaim", json()) == source) return volume["name"];
  }
  volumes.push_back({{"name", name}, {"persistentVolumeClaim", source}});
  return name;
}

void Mounts::add_scratch(const std::string& name, const std::string& path, bool read_only) {
  volumes.push_back({{"name", name}, {"emptyDir", json::object()}});
  mounts.push_back({{"name", name}, {"mountPath", path}});
  if (read_only) mounts.back()["readOnly"] = true;
}

void add_adapters(Mounts& mounts, json& args, const api::QuantizedModel& model, const char* flag) {
  const std::vector<api::Adapter>& adapters = model.spec.model.adapters;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    const std::string path = "/models/adapters/" + std::to_string(i);
    mounts.add_source("adapter-" + std::to_string(i), adapters[i].source, path);
    args.push_back(flag);
    args.push_back(path + "=" + json(adapters[i].weight).dump());
  }
}

/// Readable for the pod's own group alone, which is its fsGroup.
void Mounts::add_secret(const std::string& name, const std::string& secret, const std::string& path) {
  constexpr int kMode = 0440;
  volumes.push_back({{"name", name}, {"secret", {{"secretName", secret}, {"defaultMode", kMode}}}});
  mounts.push_back({{"name", name}, {"mountPath", path}, {"readOnly", true}});
}

json lingering() {
  return {{"preStop", {{"sleep", {{"seconds", kLingerSeconds}}}}}};
}

json pod_security() {
  return {{"runAsNonRoot", true},
          {"runAsUser", kUser},
          {"runAsGroup", kUser},
          {"fsGroup", kUser},
          {"seccompProfile", {{"type", "RuntimeDefault"}}}};
}

json container_security() {
  return {{"allowPrivilegeEscalation", false},
          {"readOnlyRootFilesystem", true},
          {"capabilities", {{"drop", {"ALL"}}}}};
}

json resources(const api::ServingSpec& serving, std::int64_t memory) {
  json out = json::object();
  if (memory > 0) out["requests"]["memory"] = std::to_string((memory + (1 << 20) - 1) >> 20) + "Mi";
  if (serving.hardware && !serving.hardware->accelerator.empty()) {
    out["limits"][serving.hardware->accelerator] =
        std::to_string(std::max<std::int64_t>(1, serving.hardware->count / nodes(serving)));
  }
  if (serving.resources) {
    for (const auto& [name, quantity] : serving.resources->requests) out["requests"][name] = quantity.text;
    for (const auto& [name, quantity] : serving.resources->limits) out["limits"][name] = quantity.text;
  }
  // A request above the limit is no valid pod: a user's memory limit caps what the estimate asks for.
  if (serving.resources && serving.resources->limits.contains("memory") &&
      !serving.resources->requests.contains("memory")) {
    out["requests"]["memory"] = serving.resources->limits.at("memory").text;
  }
  return out;
}

std::int64_t nodes(const api::ServingSpec& serving) {
  return serving.hardware ? std::max<std::int64_t>(1, serving.hardware->nodes) : 1;
}

const char* workload_kind(const api::ServingSpec& serving) {
  return nodes(serving) > 1 ? "LeaderWorkerSet" : "Deployment";
}

std::int64_t threads(const api::ServingSpec& serving) {
  if (!serving.resources) return 0;
  for (const auto* list : {&serving.resources->limits, &serving.resources->requests}) {
    const auto cpu = list->find("cpu");
    if (cpu != list->end()) return api::parse_quantity(cpu->second.text).value_or(0);
  }
  return 0;
}

void place(json& pod_spec, const api::ServingSpec& serving) {
  if (!serving.hardware) return;
  if (!serving.hardware->node_selector.empty()) pod_spec["nodeSelector"] = serving.hardware->node_selector;
  if (const auto& tolerations = serving.hardware->tolerations; !tolerations.empty()) {
    pod_spec["tolerations"] = api::Codec<std::vector<api::Toleration>>::print(tolerations);
  }
}

void add_pull_secrets(json& pod_spec, const Settings& settings) {
  for (const std::string& secret : settings.pull_secrets) {
    pod_spec["imagePullSecrets"].push_back({{"name", secret}});
  }
}

json disruption_budget(const api::QuantizedModel& model, const std::string& name, const std::string& part) {
  json out = object("policy/v1", "PodDisruptionBudget", model, name, part);
  out["spec"] = {
      {"maxUnavailable", 1},
      {"unhealthyPodEvictionPolicy", "AlwaysAllow"},
      {"selector",
       {{"matchLabels",
         {{"app.kubernetes.io/name", part}, {"app.kubernetes.io/instance", model.metadata.name}}}}}};
  return stamped(std::move(out));
}

}  // namespace stepdown::rollout::children
