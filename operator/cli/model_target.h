#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "operator/kube/client.h"

namespace CLI {
class App;
}

namespace stepdown::cli {

/// A client, and the namespace that names are looked up in.
struct Connection {
  kube::Client client;
  std::string ns;
};

/// Which cluster and namespace a command is about: the options are those of kubectl.
struct ClusterTarget {
  std::filesystem::path kubeconfig;
  std::string context;
  std::string ns;  ///< empty: the context's

  Connection connect() const;
};

/// Adds -n, --kubeconfig and --context to a subcommand.
std::shared_ptr<ClusterTarget> add_cluster_target(CLI::App& app);
/// Adds NAME, a QuantizedModel's.
std::shared_ptr<std::string> add_model_name(CLI::App& app);

extern const kube::GroupVersionResource kQuantizedModels;
extern const kube::GroupVersionResource kQuantRevisions;

/// The QuantizedModel or QuantRevision of that name. Throws InputError when there is none.
nlohmann::json get_model(const Connection& connection, const std::string& name);
nlohmann::json get_revision(const Connection& connection, const std::string& name);

}  // namespace stepdown::cli
