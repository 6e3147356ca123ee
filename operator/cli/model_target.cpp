#include "operator/cli/model_target.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/api/values.h"
#include "operator/kube/config.h"

namespace stepdown::cli {
namespace {

nlohmann::json get(const Connection& connection, const kube::GroupVersionResource& gvr, const char* kind,
                   const char* short_name, const std::string& name) {
  const kube::ObjectKey key{connection.ns, name};
  auto found = connection.client.get(gvr, key);
  if (!found && found.error().not_found()) {
    throw InputError(std::string("no such ") + kind, key.text(),
                     std::string("kubectl get ") + short_name + " -A shows all");
  }
  return std::move(found).value();
}

}  // namespace

const kube::GroupVersionResource kQuantizedModels{api::kGroup, api::kVersion, "quantizedmodels"};
const kube::GroupVersionResource kQuantRevisions{api::kGroup, api::kVersion, "quantrevisions"};

Connection ClusterTarget::connect() const {
  const kube::Config config = kube::load_config(kubeconfig, context);
  return {kube::Client(config), ns.empty() ? config.default_namespace : ns};
}

std::shared_ptr<ClusterTarget> add_cluster_target(CLI::App& app) {
  auto target = std::make_shared<ClusterTarget>();
  app.add_option("-n,--namespace", target->ns, "Its namespace (default: the context's)");
  app.add_option("--kubeconfig", target->kubeconfig, "As for kubectl")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  app.add_option("--context", target->context, "As for kubectl");
  return target;
}

std::shared_ptr<std::string> add_model_name(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  app.add_option("name", *name, "The QuantizedModel")->required()->type_name("NAME");
  return name;
}

nlohmann::json get_model(const Connection& connection, const std::string& name) {
  return get(connection, kQuantizedModels, "QuantizedModel", "qm", name);
}

nlohmann::json get_revision(const Connection& connection, const std::string& name) {
  return get(connection, kQuantRevisions, "QuantRevision", "qr", name);
}

}  // namespace stepdown::cli
