#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/local/api/cluster.h"
#include "operator/local/api/managed_fields.h"

namespace stepdown::local::api {

/// Query options of a write.
struct WriteOptions {
  bool dry_run = false;
  bool force = false;
  std::string manager;           ///< fieldManager, or the user agent's name
  std::string field_validation;  ///< Strict, Warn or Ignore
};

struct DeleteOptions {
  bool dry_run = false;
  std::optional<std::int64_t> grace_seconds;
  std::string propagation;            ///< Background, Foreground, Orphan; empty: Background
  std::string uid, resource_version;  ///< preconditions; empty: none
};

struct Outcome {
  int code = 200;
  Json body;
  std::vector<std::string> warnings;
};

enum class PatchType { kJson, kMerge, kStrategic, kApply };

/// The write verbs. Each call is one transaction; safe from any thread.
class Objects {
 public:
  explicit Objects(Cluster& cluster) : cluster_(cluster) {}

  Outcome create(const Resource& resource, const std::string& space, Json object,
                 const WriteOptions& options);
  Outcome replace(const Resource& resource, const std::string& space, const std::string& name,
                  const std::string& subresource, Json object, const WriteOptions& options);
  Outcome patch(const Resource& resource, const std::string& space, const std::string& name,
                const std::string& subresource, PatchType type, const Json& patch,
                const WriteOptions& options);
  Outcome remove(const Resource& resource, const std::string& space, const std::string& name,
                 const DeleteOptions& options);
  /// An object as `resource` shows it. Throws ApiError 404.
  Json get(const Resource& resource, const std::string& space, const std::string& name);

 private:
  struct Draft;
  Outcome insert(const Resource& resource, Store::Transaction& store, Draft draft);
  Outcome update(const Resource& resource, Store::Transaction& store, Draft draft, const Json& live);
  void after_write(const Resource& resource);

  Cluster& cluster_;
};

}  // namespace stepdown::local::api
