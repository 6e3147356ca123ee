#include "operator/local/proxy/proxy_command.h"

#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "engine/base/shutdown.h"
#include "operator/kube/config.h"
#include "operator/kube/resources.h"
#include "operator/local/proxy/service_proxy.h"

namespace stepdown::local {
namespace {

namespace resources = kube::resources;

int run_proxy(const std::filesystem::path& kubeconfig) {
  Shutdown shutdown;
  const kube::Client client(kube::load_config(kubeconfig));
  kube::Informer services(client, resources::kServices, {});
  kube::Informer slices(client, resources::kEndpointSlices, {});
  const ServiceProxy proxy(services, slices);
  services.start();
  slices.start();
  log::info("Service proxy runs");
  shutdown.wait();
  services.stop();  // before the proxy that their news go to
  slices.stop();
  return kDone;
}

}  // namespace

Command proxy_command() {
  return {"proxy", "Forward connections to Services to the pods behind them", [](CLI::App& app) {
            auto kubeconfig = std::make_shared<std::filesystem::path>();
            app.add_option("--kubeconfig", *kubeconfig, "API server to follow")
                ->required()
                ->check(CLI::ExistingFile);
            return [kubeconfig] { return run_proxy(*kubeconfig); };
          }};
}

}  // namespace stepdown::local
