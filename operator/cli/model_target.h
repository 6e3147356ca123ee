#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "operator/kube/client.h"

namespace CLI {
class App;
}

namespace stepdown::cli {

/// Which QuantizedModel of which cluster a command is about: the options are those of kubectl.
struct ModelTarget {
  std::filesystem::path kubeconfig;
  std::string context;
  std::string ns;  ///< empty: the context's
  std::string name;

  struct Connection {
    kube::Client client;
    kube::ObjectKey key;
  };
  Connection connect() const;
};

/// Adds NAME, -n, --kubeconfig and --context to a subcommand.
std::shared_ptr<ModelTarget> add_model_target(CLI::App& app);

extern const kube::GroupVersionResource kQuantizedModels;

/// The object. Throws InputError when there is none.
nlohmann::json get_model(const ModelTarget::Connection& connection);

}  // namespace stepdown::cli
