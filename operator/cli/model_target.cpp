#include "operator/cli/model_target.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/api/values.h"
#include "operator/kube/config.h"

namespace stepdown::cli {

const kube::GroupVersionResource kQuantizedModels{api::kGroup, api::kVersion, "quantizedmodels"};

ModelTarget::Connection ModelTarget::connect() const {
  const kube::Config config = kube::load_config(kubeconfig, context);
  return {kube::Client(config), {ns.empty() ? config.default_namespace : ns, name}};
}

std::shared_ptr<ModelTarget> add_model_target(CLI::App& app) {
  auto target = std::make_shared<ModelTarget>();
  app.add_option("name", target->name, "The QuantizedModel")->required()->type_name("NAME");
  app.add_option("-n,--namespace", target->ns, "Its namespace (default: the context's)");
  app.add_option("--kubeconfig", target->kubeconfig, "As for kubectl")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  app.add_option("--context", target->context, "As for kubectl");
  return target;
}

nlohmann::json get_model(const ModelTarget::Connection& connection) {
  auto found = connection.client.get(kQuantizedModels, connection.key);
  if (!found && found.error().not_found()) {
    throw InputError("no such QuantizedModel", connection.key.text(), "kubectl get qm -A shows all");
  }
  return std::move(found).value();
}

}  // namespace stepdown::cli
