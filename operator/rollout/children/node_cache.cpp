#include "operator/rollout/children/node_cache.h"

#include <algorithm>
#include <string_view>

#include <nlohmann/json.hpp>

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr const char* kCache = "node-cache";  // volume and container
constexpr const char* kCachePath = "/node-cache";
constexpr const char* kServed = "served";
constexpr const char* kServedFolder = "/models/served";

json::const_iterator at_path(const json& mounts, std::string_view path) {
  return std::ranges::find_if(mounts, [&](const json& each) { return each["mountPath"] == path; });
}

/// As the engine has it there, but to be written to.
json writable(const json& mounts, std::string_view path) {
  json out = *at_path(mounts, path);
  out.erase("readOnly");
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

void mount_node_cache(Mounts& mounts, const api::NodeCacheSpec& cache) {
  mounts.add_claim(kCache, cache.claim_name, kCachePath, /*read_only=*/true);
  mounts.add_scratch(kServed, kServedFolder, /*read_only=*/true);
}

void add_node_cache(json& pod_spec, const api::NodeCacheSpec& cache, const Settings& settings,
                    const ToCache& model) {
  const json mounts = pod_spec["containers"][0]["volumeMounts"];
  const json cached = writable(mounts, kCachePath);
  const json& source = *at_path(mounts, model.mounted);
  const std::int64_t limit = api::parse_quantity(cache.size).value_or(0);
  pod_spec["initContainers"] = {
      container("copy-to-node", settings,
                {"cache", "--cache", kCachePath, "--model", model.mounted, "--digest", model.digest,
                 "--limit", std::to_string(limit), "--link", kServedPath},
                "64Mi", {source, cached, writable(mounts, kServedFolder)})};
  pod_spec["containers"].push_back(
      container(kCache, settings, {"cache", "--hold", "--cache", kCachePath, "--digest", model.digest},
                "16Mi", json::array({cached})));
}

}  // namespace stepdown::rollout::children
