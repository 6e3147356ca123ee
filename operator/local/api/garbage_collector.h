#pragma once

#include <thread>

#include "operator/local/api/cluster.h"
#include "operator/local/api/objects.h"

namespace stepdown::local::api {

/// What a cluster's controller manager does for every object, in one thread of this server: dependents follow
/// their owners (background, foreground, orphan), terminating namespaces are emptied, and the instances of a
/// deleted CRD go.
class GarbageCollector {
 public:
  explicit GarbageCollector(Cluster& cluster);
  ~GarbageCollector();
  GarbageCollector(const GarbageCollector&) = delete;
  GarbageCollector& operator=(const GarbageCollector&) = delete;

 private:
  void run();
  void sweep();
  void consider(const Json& object, const std::string& storage);
  void after_deletion(const Json& object);
  bool owner_lives(const Json& reference, const std::string& space);
  void finish_foreground(const Json& object, const Resource& resource);
  void finish_orphan(const Json& object, const Resource& resource);
  void empty_namespace(const Json& space);
  void remove_instances(const Json& crd);
  void drop_finalizer(const Json& object, const Resource& resource, const std::string& finalizer);
  void remove(const Json& object, const std::string& storage);

  Cluster& cluster_;
  Objects objects_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

/// The namespaces that every cluster has, and the Service "kubernetes".
void bootstrap(Cluster& cluster);

}  // namespace stepdown::local::api
