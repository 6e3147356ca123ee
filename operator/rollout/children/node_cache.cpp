#include "operator/rollout/children/node_cache.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "operator/rollout/children/common.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr const char* kCache = "node-cache";  // volume and container
constexpr const char* kCachePath = "/node-cache";
constexpr const char* kServed = "served";
constexpr const char* kServedFolder = "/models/served";

json mount(const char* volume, const char* path, bool read_only) {
  json out = {{"name", volume}, {"mountPath", path}};
  if (read_only) out["readOnly"] = true;
  return out;
}

json container(const char* name, const Settings& settings, json args, const char* memory, json mounts) {
  return {{"name", name},
          {"image", settings.engine_image},
          {"args", std::move(args)},
          {"resources", {{"requests", {{"memory", memory}}}}},
          {"securityContext", container_security()},
          {"volumeMounts", std::move(mounts)}};
}

}  // namespace

void add_node_cache(json& pod_spec, const api::NodeCacheSpec& cache, const Settings& settings,
                    const ToCache& model) {
  json& engine_mounts = pod_spec["containers"][0]["volumeMounts"];
  const auto source = std::ranges::find_if(
      engine_mounts, [&](const json& each) { return each["mountPath"] == model.mounted; });
  const json copies =
      json::array({*source, mount(kCache, kCachePath, false), mount(kServed, kServedFolder, false)});
  engine_mounts.push_back(mount(kCache, kCachePath, true));
  engine_mounts.push_back(mount(kServed, kServedFolder, true));
  pod_spec["volumes"].push_back(
      {{"name", kCache}, {"persistentVolumeClaim", {{"claimName", cache.claim_name}}}});
  pod_spec["volumes"].push_back({{"name", kServed}, {"emptyDir", json::object()}});

  const std::int64_t limit = api::parse_quantity(cache.size).value_or(0);
  pod_spec["initContainers"] = {
      container("copy-to-node", settings,
                {"cache", "--cache", kCachePath, "--model", model.mounted, "--digest", model.digest,
                 "--limit", std::to_string(limit), "--link", kServedPath},
                "64Mi", copies)};
  pod_spec["containers"].push_back(
      container(kCache, settings, {"cache", "--hold", "--cache", kCachePath, "--digest", model.digest},
                "16Mi", json::array({mount(kCache, kCachePath, false)})));
}

}  // namespace stepdown::rollout::children
