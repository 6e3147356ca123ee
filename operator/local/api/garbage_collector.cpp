#include "operator/local/api/garbage_collector.h"

#include <algorithm>

#include "engine/base/log.h"
#include "operator/local/api/conversion.h"
#include "operator/local/api/metadata.h"

namespace stepdown::local::api {
namespace {

constexpr const char* kCleanup = "customresourcecleanup.apiextensions.k8s.io";
constexpr const char* kDefinitions = "customresourcedefinitions.apiextensions.k8s.io";

WriteOptions as_collector() {
  return {false, false, "garbage-collector", "Ignore"};
}

Json owner_references(const Json& object) {
  return object.at("metadata").value("ownerReferences", Json::array());
}

bool has_finalizer(const Json& object, const std::string& name) {
  const auto finalizers = meta_list(object, "finalizers");
  return std::find(finalizers.begin(), finalizers.end(), name) != finalizers.end();
}

}  // namespace

GarbageCollector::GarbageCollector(Cluster& cluster)
    : cluster_(cluster), objects_(cluster), thread_([this] { run(); }) {}

GarbageCollector::~GarbageCollector() {
  stopping_ = true;
  cluster_.store().stop();
  thread_.join();
}

void GarbageCollector::run() {
  std::int64_t seen = cluster_.store().revision();
  bool swept = false;
  while (!stopping_) {
    try {
      if (!swept) {
        sweep();  // what a killed server left undone
        swept = true;
      }
      const auto changes = cluster_.store().changes("", "", seen, 200, std::chrono::milliseconds(1000), seen);
      for (const Change& change : changes) {
        if (change.type == ChangeType::kDeleted) {
          after_deletion(change.object);
        } else {
          consider(change.object, change.storage);
        }
      }
    } catch (const ApiError& error) {
      seen = cluster_.store().revision();  // fell behind the history
      swept = false;
    } catch (const std::exception& error) {
      log::error("garbage collection failed; it is tried again", {{"why", error.what()}});
      swept = false;
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }
}

void GarbageCollector::sweep() {
  for (const char* sign : {"\"ownerReferences\"", "\"deletionTimestamp\""}) {
    for (const auto& [key, object] : cluster_.store().containing(sign)) consider(object, key.storage);
  }
}

void GarbageCollector::remove(const Json& object, const std::string& storage) {
  const auto resource = cluster_.registry()->by_storage(storage);
  if (!resource) return;
  try {
    DeleteOptions options;
    options.uid = meta(object, "uid");
    objects_.remove(*resource, meta(object, "namespace"), meta(object, "name"), options);
  } catch (const ApiError& error) {
    if (error.code() != 404 && error.code() != 409) throw;  // gone, or another of that name: as wanted
  }
}

bool GarbageCollector::owner_lives(const Json& reference, const std::string& space) {
  const auto resource =
      cluster_.registry()->by_kind(reference.value("apiVersion", ""), reference.value("kind", ""));
  if (!resource) return true;  // an unknown kind: nothing is known about its absence
  const auto owner = cluster_.store().get(
      {resource->storage, resource->namespaced ? space : "", reference.value("name", "")});
  return owner && meta(*owner, "uid") == reference.value("uid", "");
}

void GarbageCollector::consider(const Json& object, const std::string& storage) {
  const Json references = owner_references(object);
  if (!references.empty() && !is_deleting(object)) {
    const std::string space = meta(object, "namespace");
    const bool any = std::any_of(references.begin(), references.end(),
                                 [&](const Json& reference) { return owner_lives(reference, space); });
    if (!any) {
      remove(object, storage);
      return;
    }
  }
  if (!is_deleting(object)) return;
  const auto resource = cluster_.registry()->by_storage(storage);
  if (!resource) return;
  if (has_finalizer(object, "orphan")) finish_orphan(object, *resource);
  if (has_finalizer(object, "foregroundDeletion")) finish_foreground(object, *resource);
  if (storage == "namespaces") empty_namespace(object);
  if (storage == kDefinitions && has_finalizer(object, kCleanup)) remove_instances(object);
}

void GarbageCollector::after_deletion(const Json& object) {
  const std::string uid = meta(object, "uid");
  for (const auto& [key, dependent] : cluster_.store().containing("\"" + uid + "\"")) {
    for (const Json& reference : owner_references(dependent)) {
      if (reference.value("uid", "") == uid) {
        consider(dependent, key.storage);
        break;
      }
    }
  }
  // What waits for this one: an owner deleted in the foreground, its namespace, its CRD.
  for (const Json& reference : owner_references(object)) {
    const auto owner =
        cluster_.registry()->by_kind(reference.value("apiVersion", ""), reference.value("kind", ""));
    if (!owner) continue;
    const auto stored = cluster_.store().get(
        {owner->storage, owner->namespaced ? meta(object, "namespace") : "", reference.value("name", "")});
    if (stored && is_deleting(*stored)) consider(*stored, owner->storage);
  }
  if (const std::string space = meta(object, "namespace"); !space.empty()) {
    const auto stored = cluster_.store().get({"namespaces", "", space});
    if (stored && is_deleting(*stored)) consider(*stored, "namespaces");
  }
  const auto resource =
      cluster_.registry()->by_kind(object.value("apiVersion", ""), object.value("kind", ""));
  if (resource && resource->custom) {
    const auto crd = cluster_.store().get({kDefinitions, "", resource->storage});
    if (crd && is_deleting(*crd)) consider(*crd, kDefinitions);
  }
}

void GarbageCollector::drop_finalizer(const Json& object, const Resource& resource,
                                      const std::string& finalizer) {
  Json left = Json::array();
  for (const std::string& name : meta_list(object, "finalizers")) {
    if (name != finalizer) left.push_back(name);
  }
  const Json patch = {{"metadata",
                       {{"finalizers", left},
                        {"uid", meta(object, "uid")},
                        {"resourceVersion", meta(object, "resourceVersion")}}}};
  try {
    objects_.patch(resource, meta(object, "namespace"), meta(object, "name"), "", PatchType::kMerge, patch,
                   as_collector());
  } catch (const ApiError& error) {
    if (error.code() != 404 && error.code() != 409)
      throw;  // changed meanwhile: its change is considered again
  }
}

void GarbageCollector::finish_foreground(const Json& object, const Resource& resource) {
  const std::string uid = meta(object, "uid");
  bool blocked = false;
  for (const auto& [key, dependent] : cluster_.store().containing("\"" + uid + "\"")) {
    for (const Json& reference : owner_references(dependent)) {
      if (reference.value("uid", "") != uid) continue;
      blocked |= reference.value("blockOwnerDeletion", false);
      if (!is_deleting(dependent)) remove(dependent, key.storage);
    }
  }
  if (blocked) {
    // Those that went at once do not block any more.
    blocked = false;
    for (const auto& [key, dependent] : cluster_.store().containing("\"" + uid + "\"")) {
      for (const Json& reference : owner_references(dependent)) {
        blocked |= reference.value("uid", "") == uid && reference.value("blockOwnerDeletion", false);
      }
    }
  }
  if (!blocked) drop_finalizer(object, resource, "foregroundDeletion");
}

void GarbageCollector::finish_orphan(const Json& object, const Resource& resource) {
  const std::string uid = meta(object, "uid");
  for (const auto& [key, dependent] : cluster_.store().containing("\"" + uid + "\"")) {
    Json left = Json::array();
    const Json references = owner_references(dependent);
    for (const Json& reference : references) {
      if (reference.value("uid", "") != uid) left.push_back(reference);
    }
    const auto owned = cluster_.registry()->by_storage(key.storage);
    if (left.size() == references.size() || !owned) continue;
    const Json patch = {{"metadata", {{"ownerReferences", left.empty() ? Json() : left}}}};
    objects_.patch(*owned, key.space, key.name, "", PatchType::kMerge, patch, as_collector());
  }
  drop_finalizer(object, resource, "orphan");
}

void GarbageCollector::empty_namespace(const Json& space) {
  const std::string name = meta(space, "name");
  bool left = false;
  std::string previous;
  for (const auto& resource : cluster_.registry()->all()) {
    if (!resource->namespaced || resource->storage == previous) continue;
    previous = resource->storage;
    for (const Json& object : cluster_.store().list({resource->storage, name, {}, {}, {}, 0}).objects) {
      if (!is_deleting(object)) remove(object, resource->storage);
    }
    left |= !cluster_.store().list({resource->storage, name, {}, {}, {}, 0}).objects.empty();
  }
  if (left) return;
  const auto resource = cluster_.registry()->by_storage("namespaces");
  try {
    objects_.patch(*resource, "", name, "", PatchType::kMerge, {{"spec", {{"finalizers", nullptr}}}},
                   as_collector());
  } catch (const ApiError& error) {
    if (error.code() != 404) throw;
  }
}

void GarbageCollector::remove_instances(const Json& crd) {
  const std::string storage = meta(crd, "name");
  for (const Json& object : cluster_.store().list({storage, {}, {}, {}, {}, 0}).objects) {
    if (!is_deleting(object)) remove(object, storage);
  }
  if (cluster_.store().list({storage, {}, {}, {}, {}, 0}).objects.empty()) {
    drop_finalizer(crd, *cluster_.registry()->by_storage(kDefinitions), kCleanup);
  }
}

void bootstrap(Cluster& cluster) {
  Objects objects(cluster);
  const auto resource = cluster.registry()->by_storage("namespaces");
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    if (cluster.store().get({"namespaces", "", name})) continue;
    objects.create(*resource, "",
                   {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}},
                   {false, false, "kube-apiserver", "Ignore"});
  }
}

}  // namespace stepdown::local::api
