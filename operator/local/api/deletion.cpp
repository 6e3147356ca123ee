#include <algorithm>

#include "operator/local/api/clock.h"
#include "operator/local/api/conversion.h"
#include "operator/local/api/draft.h"
#include "operator/local/api/metadata.h"

namespace stepdown::local::api {

Outcome Objects::remove(const Resource& resource, const std::string& space, const std::string& name,
                        const DeleteOptions& options) {
  const Key key{resource.storage, space, name};
  const Subject subject = resource.subject(name);
  Store::Transaction store(cluster_.store());
  auto found = store.get(key);
  if (!found) throw not_found(subject);
  Json object = std::move(*found);
  const auto require = [&](const char* what, const std::string& wanted, const std::string& have) {
    if (wanted.empty() || wanted == have) return;
    throw conflict({resource.group, resource.kind, resource.kind, name},
                   "the " + std::string(what) + " in the precondition (" + wanted + ") does not match the " +
                       what + " in record (" + have + "). The object might have been " +
                       (std::string_view(what) == "UID" ? "deleted and then recreated" : "modified"));
  };
  require("UID", options.uid, meta(object, "uid"));
  require("ResourceVersion", options.resource_version, meta(object, "resourceVersion"));
  Json& metadata = object["metadata"];
  std::vector<std::string> finalizers = meta_list(object, "finalizers");
  const auto add_finalizer = [&](const char* finalizer) {
    if (std::find(finalizers.begin(), finalizers.end(), finalizer) != finalizers.end()) return;
    finalizers.emplace_back(finalizer);
    metadata["finalizers"] = finalizers;
  };
  if (options.propagation == "Foreground") add_finalizer("foregroundDeletion");
  if (options.propagation == "Orphan") add_finalizer("orphan");

  // A pod that a node runs is told to stop first; the node deletes it with grace 0 once it has.
  std::int64_t grace = 0;
  if (resource.storage == "pods" && !spec_text(object, "nodeName").empty()) {
    grace = options.grace_seconds.value_or(
        object["spec"].value("terminationGracePeriodSeconds", std::int64_t{30}));
    const std::string phase = object.contains("status") ? object["status"].value("phase", "") : "";
    if (phase == "Succeeded" || phase == "Failed" || grace < 0) grace = 0;
  }
  const bool space_waits =
      resource.storage == "namespaces" && !object["spec"].value("finalizers", Json::array()).empty();
  if (finalizers.empty() && grace == 0 && !space_waits) {
    Json last = object;
    if (!options.dry_run) {
      store.remove(key, last);
      store.commit();
      after_write(resource);
    }
    static const std::vector<std::string> kReturned = {"pods", "services", "persistentvolumeclaims",
                                                       "persistentvolumes", "serviceaccounts"};
    if (std::find(kReturned.begin(), kReturned.end(), resource.storage) != kReturned.end()) {
      return {200, from_storage(std::move(last), resource)};
    }
    Json details = {{"name", name}, {"kind", resource.plural}, {"uid", meta(object, "uid")}};
    if (!resource.group.empty()) details["group"] = resource.group;
    return {200,
            {{"kind", "Status"},
             {"apiVersion", "v1"},
             {"metadata", Json::object()},
             {"status", "Success"},
             {"details", details}}};
  }
  const bool first = !is_deleting(object);
  const bool sooner = !first && resource.storage == "pods" &&
                      grace < metadata.value("deletionGracePeriodSeconds", std::int64_t{0});
  if (first || sooner) {
    metadata["deletionTimestamp"] = now_rfc3339(grace);
    metadata["deletionGracePeriodSeconds"] = grace;
    if (counts_generations(resource) && first) metadata["generation"] = generation_of(object) + 1;
    if (resource.storage == "namespaces") object["status"]["phase"] = "Terminating";
  }
  if (!options.dry_run && (first || sooner || !options.propagation.empty())) {
    if (finalizers.empty() && grace == 0 && !space_waits) {
      store.remove(key, object);
    } else {
      store.put(key, object);
    }
    store.commit();
    after_write(resource);
  }
  return {200, from_storage(std::move(object), resource)};
}

}  // namespace stepdown::local::api
