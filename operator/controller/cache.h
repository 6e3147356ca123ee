#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "operator/compat/hardware.h"
#include "operator/controller/gather.h"
#include "operator/kube/client.h"

namespace stepdown::controller {

/// Informers of all watched kinds, trimmed to what plans need. Reading is safe from any thread.
class Cache {
 public:
  struct Scope {
    std::string ns;                   ///< empty: all namespaces
    bool engine_profiles = true;      ///< whether they may be read
    bool nodes = true;                ///< whether they may be read
    bool leader_worker_sets = false;  ///< whether the cluster has them
  };
  /// `on_change` gets the QuantizedModel whose world changed, from informers'
  /// threads.
  Cache(const kube::Client& client, const Scope& scope,
        std::function<void(const kube::ObjectKey&, bool initial)> on_change);
  ~Cache();

  void start();
  bool synced() const;
  /// The first trouble of any informer; empty while all is well.
  std::string trouble() const;

  kube::ObjectPtr model(const kube::ObjectKey& key) const;
  kube::ObjectPtr profile(const std::string& name) const;
  /// All of the cluster; nullopt where they may not be read.
  std::optional<std::vector<compat::Node>> nodes() const;
  kube::ObjectPtr get(std::string_view kind, const kube::ObjectKey& key) const;
  /// What a write of a watched kind answered: the next look need not wait for the watch, which will not tell
  /// the object's model of it. True when it was news.
  bool learn(std::string_view kind, nlohmann::json object);
  /// Children and Job pods of a model, and the QuantRevisions that its spec and status name.
  ObjectsByKind around(const api::QuantizedModel& model) const;
  /// The other QuantizedModels of its namespace.
  std::vector<kube::ObjectPtr> neighbours(const kube::ObjectKey& model) const;

 private:
  void on_change(std::string_view kind, const kube::Informer::Change& change);
  const kube::Informer& informer(std::string_view kind) const;

  std::function<void(const kube::ObjectKey&, bool)> on_change_;
  std::map<std::string, std::unique_ptr<kube::Informer>, std::less<>> informers_;
};

}  // namespace stepdown::controller
