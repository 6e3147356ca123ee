#include "operator/local/api/resource.h"

#include <algorithm>

namespace stepdown::local::api {

bool Resource::allows(std::string_view verb) const {
  return std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
}

Registry::Registry(std::vector<std::shared_ptr<const Resource>> resources)
    : resources_(std::move(resources)) {
  for (const auto& resource : resources_) {
    auto group = std::find_if(groups_.begin(), groups_.end(),
                              [&](const auto& g) { return g.first == resource->group; });
    if (group == groups_.end()) group = groups_.insert(groups_.end(), {resource->group, {}});
    auto& versions = group->second;
    if (std::find(versions.begin(), versions.end(), resource->version) == versions.end()) {
      versions.push_back(resource->version);
    }
  }
}

std::shared_ptr<const Resource> Registry::find(std::string_view group, std::string_view version,
                                               std::string_view plural) const {
  for (const auto& resource : resources_) {
    if (resource->plural == plural && resource->group == group && resource->version == version)
      return resource;
  }
  return nullptr;
}

std::shared_ptr<const Resource> Registry::by_storage(std::string_view storage) const {
  for (const auto& resource : resources_) {
    if (resource->storage == storage) return resource;
  }
  return nullptr;
}

std::shared_ptr<const Resource> Registry::by_kind(std::string_view api_version, std::string_view kind) const {
  for (const auto& resource : resources_) {
    if (resource->kind == kind && resource->api_version() == api_version) return resource;
  }
  return nullptr;
}

}  // namespace stepdown::local::api
