#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <malloc.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/program.h"
#include "engine/base/shutdown.h"
#include "engine/base/version.h"
#include "operator/controller/controller.h"
#include "operator/kube/config.h"
#include "operator/webhook/webhook.h"

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
    webhook::Options webhook;
    std::string kubeconfig;
    std::string context;
  };
  const auto given = std::make_shared<Given>();
  controller::Options& options = given->options;
  options.settings = {.engine_image = image("engine"), .gateway_image = image("gateway")};
  app.add_option("--kubeconfig", given->kubeconfig,
                 "Kubeconfig file; without it $KUBECONFIG, the pod's own, ~/.kube/config");
  app.add_option("--context", given->context, "Context of the kubeconfig");
  app.add_option("--namespace", options.ns, "Namespace to watch; without it all");
  app.add_option("--engine-image", options.settings.engine_image, "Image of Jobs and engines")
      ->capture_default_str();
  app.add_option("--gateway-image", options.settings.gateway_image, "Image of gateways")
      ->capture_default_str();
  app.add_option("--gateway-replicas", options.settings.gateway_replicas, "Gateways of each model")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--image-pull-secret", options.settings.pull_secrets,
                 "Secret of a model's namespace that its pods' images are pulled with; may be repeated");
  app.add_flag("!--without-engine-profiles", options.engine_profiles,
               "Do without EngineProfiles, which are of the whole cluster: the bundled engine alone serves");
  app.add_flag(
      "!--without-nodes", options.nodes,
      "Do without Nodes, which are of the whole cluster: a GPU's generation is known by nodeSelector alone");
  app.add_flag(
      "--leader-worker-sets", options.settings.leader_worker_sets,
      "Serve models of several nodes as LeaderWorkerSets, which the cluster must have (lws.sigs.k8s.io)");
  app.add_option("--metrics-addr", options.metrics_address, "Address of /metrics, /healthz and /readyz")
      ->capture_default_str();
  app.add_flag("--leader-elect", options.leader_elect, "Work only while holding the Lease stepdown-operator");
  app.add_option("--lease-namespace", options.lease_namespace, "Namespace of that Lease")
      ->capture_default_str();
  app.add_option("--workers", options.workers, "Models reconciled at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  webhook::Options& hook = given->webhook;
  app.add_option("--webhook-port", hook.port, "Port of the admission webhook; 0: none")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--webhook-namespace", hook.names.ns,
                 "Namespace of its Service and Secret (default: the kubeconfig's or the pod's)");
  app.add_option("--webhook-service", hook.names.service, "Service that API servers reach it by")
      ->capture_default_str();
  app.add_option("--webhook-secret", hook.names.secret, "Secret for its certificates; must exist")
      ->capture_default_str();
  app.add_option("--webhook-configuration", hook.names.configuration,
                 "ValidatingWebhookConfiguration that is told whom to trust; must exist")
      ->capture_default_str();
  app.add_option("--webhook-certificate-seconds", hook.lifetimes.serving, "Life of its serving certificate")
      ->capture_default_str();
  app.add_option("--webhook-authority-seconds", hook.lifetimes.authority,
                 "Life of the authority that signs it")
      ->capture_default_str();
  app.add_option("--webhook-announcement-seconds", hook.lifetimes.announcement,
                 "How long a new authority is announced before anything it signed is served")
      ->capture_default_str();
  return [given] {
    // A pool of memory for each of some twenty threads would keep what the largest list of each once took.
    mallopt(M_ARENA_MAX, 2);
    Shutdown shutdown;
    std::stop_source stop;
    shutdown.on_request([&] { stop.request_stop(); });
    given->options.identity = host_name() + "_" + std::to_string(getpid());
    kube::Config config = kube::load_config(given->kubeconfig, given->context);
    if (given->webhook.names.ns.empty()) given->webhook.names.ns = config.default_namespace;
    const kube::Client client(std::move(config));
    log::info("stepdown-operator starts", {{"version", kVersion}, {"identity", given->options.identity}});
    std::optional<webhook::Webhook> admission;
    given->webhook.engine_profiles = given->options.engine_profiles;
    if (given->webhook.port != 0) {
      admission.emplace(client, given->webhook);
      given->options.not_ready = [&admission] { return admission->not_ready(); };
    }
    controller::run(client, given->options, stop.get_token());
    if (admission) admission->drain();
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
