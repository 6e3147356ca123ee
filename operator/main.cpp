#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/program.h"
#include "engine/base/shutdown.h"
#include "engine/base/version.h"
#include "operator/controller/controller.h"
#include "operator/kube/config.h"

namespace {

using namespace stepdown;

std::string image(const char* name) {
  return std::string("stepdown/") + name + ":" + std::string(kVersion);
}

std::string host_name() {
  char name[256] = "stepdown-operator";
  gethostname(name, sizeof name - 1);
  return name;
}

std::function<int()> configure(CLI::App& app) {
  struct Given {
    controller::Options options;
    std::string kubeconfig;
    std::string context;
  };
  const auto given = std::make_shared<Given>();
  controller::Options& options = given->options;
  options.settings = {image("engine"), image("gateway")};
  app.add_option("--kubeconfig", given->kubeconfig,
                 "Kubeconfig file; without it $KUBECONFIG, the pod's own, ~/.kube/config");
  app.add_option("--context", given->context, "Context of the kubeconfig");
  app.add_option("--namespace", options.ns, "Namespace to watch; without it all");
  app.add_option("--engine-image", options.settings.engine_image, "Image of Jobs and engines")
      ->capture_default_str();
  app.add_option("--gateway-image", options.settings.gateway_image, "Image of gateways")
      ->capture_default_str();
  app.add_option("--metrics-addr", options.metrics_address, "Address of /metrics, /healthz and /readyz")
      ->capture_default_str();
  app.add_flag("--leader-elect", options.leader_elect, "Work only while holding the Lease stepdown-operator");
  app.add_option("--lease-namespace", options.lease_namespace, "Namespace of that Lease")
      ->capture_default_str();
  app.add_option("--workers", options.workers, "Models reconciled at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  return [given] {
    Shutdown shutdown;
    std::stop_source stop;
    shutdown.on_request([&] { stop.request_stop(); });
    given->options.identity = host_name() + "_" + std::to_string(getpid());
    const kube::Client client(kube::load_config(given->kubeconfig, given->context));
    log::info("stepdown-operator starts", {{"version", kVersion}, {"identity", given->options.identity}});
    controller::run(client, given->options, stop.get_token());
    return static_cast<int>(kDone);
  };
}

}  // namespace

int main(int argc, char** argv) {
  return run_program(
      argc, argv,
      {"stepdown-operator", "Reconciles QuantizedModels: quantizes, measures, rolls out and rolls back",
       configure});
}
