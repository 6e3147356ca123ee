#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "engine/base/arguments.h"
#include "engine/base/program.h"
#include "engine/base/shutdown.h"
#include "operator/gateway/cluster/kube_source.h"
#include "operator/gateway/gateway.h"
#include "operator/kube/client.h"
#include "operator/kube/config.h"

namespace {

using namespace stepdown;

struct Flags {
  gateway::GatewayOptions gateway;
  std::string ns;
  std::string model;
  std::string state_dir = "/var/lib/stepdown-gateway";
  std::string kubeconfig;
  double request_seconds = 300;
  double stall_seconds = 60;
  unsigned client_idle_seconds = 120;
  std::string access_log = "sampled";
};

int serve(Flags flags) {
  Shutdown shutdown;
  kube::Config config = kube::load_config(flags.kubeconfig);
  if (flags.ns.empty()) flags.ns = config.default_namespace;
  const kube::Client client(std::move(config));
  flags.gateway.service = flags.model;
  flags.gateway.state_dir = flags.state_dir;
  flags.gateway.proxy.request =
      std::chrono::milliseconds(static_cast<std::int64_t>(flags.request_seconds * 1000));
  flags.gateway.upstreams.http.stall =
      std::chrono::milliseconds(static_cast<std::int64_t>(flags.stall_seconds * 1000));
  flags.gateway.http.idle = std::chrono::seconds(flags.client_idle_seconds);
  flags.gateway.proxy.access_log = *gateway::access_log_named(flags.access_log);
  gateway::Gateway gateway(flags.gateway, gateway::make_kube_source(client, flags.ns, flags.model),
                           gateway::make_kube_sink(client, flags.ns, flags.model));
  shutdown.on_request([&gateway] { gateway.stop(); });
  gateway.run();
  return kDone;
}

std::function<int()> configure(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--model", flags->model, "Name of the QuantizedModel whose traffic this is")->required();
  app.add_option("--namespace", flags->ns, "Its namespace (default: the kubeconfig's or the pod's)");
  app.add_option("--host", flags->gateway.listen.host, "IP address to listen on")->capture_default_str();
  app.add_option("--port", flags->gateway.listen.port, "Port to listen on")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--state-dir", flags->state_dir, "Folder where trips survive a restart")
      ->capture_default_str();
  app.add_option("--kubeconfig", flags->kubeconfig, "Default: $KUBECONFIG, in-cluster, ~/.kube/config");
  app.add_option("--max-in-flight", flags->gateway.proxy.in_flight, "Requests at a time; more are told 429")
      ->check(positive())
      ->capture_default_str();
  app.add_option("--max-per-engine", flags->gateway.upstreams.per_endpoint,
                 "Requests at a time to one engine; more wait, retries first")
      ->check(positive())
      ->capture_default_str();
  app.add_option("--max-body-bytes", flags->gateway.http.body, "Largest request")
      ->check(positive())
      ->capture_default_str();
  app.add_option("--request-timeout", flags->request_seconds, "Seconds for a whole answer, retries included")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  app.add_option("--stall-timeout", flags->stall_seconds,
                 "Seconds that an answer of an engine may stand still once it has begun")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  app.add_option("--client-idle-timeout", flags->client_idle_seconds,
                 "Seconds that a client's connection is kept between two requests, or while it reads nothing")
      ->check(positive())
      ->capture_default_str();
  app.add_option("--access-log", flags->access_log,
                 "A line for each request: off, all, or sampled (what failed, was retried or escalated, what "
                 "belongs to "
                 "a trace that its client records, and 1 % of the rest)")
      ->check(CLI::IsMember({"off", "sampled", "all"}))
      ->capture_default_str();
  app.add_option("--hold-tokens", flags->gateway.proxy.held_chunks,
                 "Tokens of a quantized revision's stream that are judged before the first is shown")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  return [flags] { return serve(*flags); };
}

}  // namespace

int main(int argc, char** argv) {
  const stepdown::Command command{
      "stepdown-gateway",
      "Splits traffic between FP16 and a quantized revision, judges every answer, and trips by itself",
      configure};
  return stepdown::run_program(argc, argv, command);
}
