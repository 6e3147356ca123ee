#pragma once

#include <filesystem>
#include <memory>
#include <mutex>

#include "operator/local/api/builtins.h"
#include "operator/local/api/store.h"

namespace stepdown::local::api {

/// What all handlers share: the objects, and the table of resources that follows the stored CRDs.
class Cluster {
 public:
  Cluster(const std::filesystem::path& file, std::int64_t history);

  Store& store() { return store_; }
  std::shared_ptr<const Registry> registry() const;
  const Json& builtin_schemas() const { return *schemas_; }
  const Schema& object_meta() const { return *builtins_.object_meta; }
  /// Reads the CRDs again; call after one changed.
  void reload();

 private:
  Store store_;
  Builtins builtins_;
  std::shared_ptr<const Json> schemas_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Registry> registry_;
};

}  // namespace stepdown::local::api
