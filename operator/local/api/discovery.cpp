#include "operator/local/api/discovery.h"

namespace stepdown::local::api {
namespace {

Json subresource_row(const Resource& resource, const std::string& name) {
  Json row = {{"name", resource.plural + "/" + name},
              {"singularName", ""},
              {"namespaced", resource.namespaced},
              {"kind", resource.kind},
              {"verbs", {"get", "patch", "update"}}};
  struct Other {
    const char* name;
    const char* group;
    const char* version;
    const char* kind;
    Json verbs;
  };
  static const std::vector<Other> kOthers = {
      {"scale", "autoscaling", "v1", "Scale", {"get", "patch", "update"}},
      {"log", "", "", "Pod", Json::array({"get"})},
      {"binding", "", "", "Binding", Json::array({"create"})},
      {"eviction", "policy", "v1", "Eviction", Json::array({"create"})},
      {"token", "authentication.k8s.io", "v1", "TokenRequest", Json::array({"create"})},
      {"finalize", "", "", "Namespace", Json::array({"update"})}};
  for (const Other& other : kOthers) {
    if (name != other.name) continue;
    row["kind"] = other.kind;
    row["verbs"] = other.verbs;
    if (*other.group != '\0') {
      row["group"] = other.group;
      row["version"] = other.version;
    }
  }
  return row;
}

Json resource_list(const Registry& registry, const std::string& group, const std::string& version) {
  Json rows = Json::array();
  for (const auto& resource : registry.all()) {
    if (resource->group != group || resource->version != version) continue;
    Json row = {{"name", resource->plural},           {"singularName", resource->singular},
                {"namespaced", resource->namespaced}, {"kind", resource->kind},
                {"verbs", resource->verbs},           {"storageVersionHash", resource->kind}};
    if (!resource->short_names.empty()) row["shortNames"] = resource->short_names;
    if (!resource->categories.empty()) row["categories"] = resource->categories;
    rows.push_back(std::move(row));
    for (const std::string& name : resource->subresources) rows.push_back(subresource_row(*resource, name));
  }
  return {{"kind", "APIResourceList"},
          {"apiVersion", "v1"},
          {"groupVersion", group.empty() ? version : group + "/" + version},
          {"resources", rows}};
}

Json group_entry(const std::string& group, const std::vector<std::string>& versions) {
  Json list = Json::array();
  for (const std::string& version : versions)
    list.push_back({{"groupVersion", group + "/" + version}, {"version", version}});
  return {{"name", group}, {"versions", list}, {"preferredVersion", list.front()}};
}

}  // namespace

std::optional<Json> discover(const Registry& registry, const std::string& path) {
  if (path == "/api") {
    return Json{{"kind", "APIVersions"}, {"versions", {"v1"}}, {"serverAddressByClientCIDRs", Json::array()}};
  }
  if (path == "/api/v1") return resource_list(registry, "", "v1");
  Json groups = Json::array();
  for (const auto& [group, versions] : registry.groups()) {
    if (group.empty()) continue;
    Json entry = group_entry(group, versions);
    if (path == "/apis/" + group) {
      entry["kind"] = "APIGroup";
      entry["apiVersion"] = "v1";
      return entry;
    }
    for (const std::string& version : versions) {
      if (path == "/apis/" + group + "/" + version) return resource_list(registry, group, version);
    }
    groups.push_back(std::move(entry));
  }
  if (path == "/apis") return Json{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", groups}};
  return std::nullopt;
}

}  // namespace stepdown::local::api
