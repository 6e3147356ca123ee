#include "operator/local/api/cluster.h"

#include "engine/base/log.h"
#include "operator/local/api/custom_resources.h"
#include "operator/local/api/metadata.h"

namespace stepdown::local::api {

Cluster::Cluster(const std::filesystem::path& file, std::int64_t history)
    : store_(file, history),
      builtins_(load_builtins()),
      schemas_(std::make_shared<const Json>(std::move(builtins_.schemas))) {
  reload();
}

std::shared_ptr<const Registry> Cluster::registry() const {
  const std::scoped_lock lock(mutex_);
  return registry_;
}

void Cluster::reload() {
  const std::scoped_lock lock(mutex_);
  auto resources = builtins_.resources;
  for (const Json& crd :
       store_.list({"customresourcedefinitions.apiextensions.k8s.io", {}, {}, {}, {}, 0}).objects) {
    try {
      for (auto& resource : resources_of(crd, schemas_)) resources.push_back(std::move(resource));
    } catch (const std::exception& error) {
      // Checked on the way in; an older server's file may hold what this one cannot read.
      log::error("a stored CustomResourceDefinition is not served",
                 {{"name", meta(crd, "name")}, {"why", error.what()}});
    }
  }
  registry_ = std::make_shared<const Registry>(std::move(resources));
}

}  // namespace stepdown::local::api
