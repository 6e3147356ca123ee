#include "operator/local/node/node_agent.h"

#include <array>
#include <deque>
#include <fstream>
#include <functional>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <sys/utsname.h>

#include "engine/base/error.h"
#include "engine/base/log.h"
#include "engine/base/shutdown.h"
#include "engine/base/version.h"
#include "operator/kube/config.h"
#include "operator/kube/resources.h"
#include "operator/kube/server_url.h"
#include "operator/kube/time.h"
#include "operator/local/node/claims_and_accounts.h"
#include "operator/local/node/endpoints.h"
#include "operator/local/node/kubelet.h"
#include "operator/local/node/pod_network.h"
#include "operator/local/node/shim.h"
#include "operator/local/node/workloads.h"
#include "operator/local/state_folder.h"

namespace stepdown::local {

namespace fs = std::filesystem;
namespace resources = kube::resources;
using nlohmann::json;

namespace {

constexpr const char* kManager = "stepdown-local-node";

NodeContext make_context(const NodeOptions& options) {
  const kube::Config config = kube::load_config(options.kubeconfig);
  const kube::ServerUrl server = kube::parse_server_url(config.server);
  const fs::path dir = open_state_folder(options.dir);
  fs::create_directories(dir / "pods");
  fs::create_directories(dir / "volumes");
  NodeContext context{
      kube::Client(config), options.node_name, dir, fs::read_symlink("/proc/self/exe"), {}, {}, 97};
  context.environment = {{"KUBERNETES_SERVICE_HOST", server.host},
                         {"KUBERNETES_SERVICE_PORT", std::to_string(server.port)}};
  context.certificate_authority = config.certificate_authority;
  return context;
}

std::string first_line(const char* path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

json node_info() {
  utsname kernel{};
  ::uname(&kernel);
  const std::string machine = kernel.machine;
  const std::string version = "v" + std::string(kVersion) + "-stepdown";
  return {{"architecture", machine == "x86_64"    ? "amd64"
                           : machine == "aarch64" ? "arm64"
                                                  : machine},
          {"bootID", first_line("/proc/sys/kernel/random/boot_id")},
          {"containerRuntimeVersion", "process://" + std::string(kVersion)},
          {"kernelVersion", kernel.release},
          {"kubeProxyVersion", version},
          {"kubeletVersion", version},
          {"machineID", first_line("/etc/machine-id")},
          {"operatingSystem", "linux"},
          {"osImage", kernel.sysname},
          {"systemUUID", first_line("/etc/machine-id")}};
}

/// `kubectl get nodes` shows where pods run; controllers that ask for capacity find it.
void register_node(const NodeContext& context) {
  const std::string now = kube::format_time(std::chrono::system_clock::now());
  const json capacity = {
      {"cpu", std::to_string(std::max(1U, std::thread::hardware_concurrency()))},
      {"memory", std::to_string(::sysconf(_SC_PHYS_PAGES) * (::sysconf(_SC_PAGESIZE) / 1024)) + "Ki"},
      {"pods", "1000"}};
  const json info = node_info();
  json node = {{"apiVersion", "v1"},
               {"kind", "Node"},
               {"metadata",
                {{"name", context.node_name},
                 {"labels",
                  {{"kubernetes.io/hostname", context.node_name},
                   {"kubernetes.io/arch", info["architecture"]},
                   {"kubernetes.io/os", info["operatingSystem"]}}}}}};
  node["status"] = {{"nodeInfo", info},
                    {"daemonEndpoints", {{"kubeletEndpoint", {{"Port", 0}}}}},
                    {"capacity", capacity},
                    {"allocatable", capacity},
                    {"addresses", {{{"type", "InternalIP"}, {"address", "127.0.0.1"}}}},
                    {"conditions",
                     {{{"type", "Ready"},
                       {"status", "True"},
                       {"reason", "AgentReady"},
                       {"message", "the node agent runs"},
                       {"lastHeartbeatTime", now},
                       {"lastTransitionTime", now}}}}};
  const auto applied = context.client.apply(resources::kNodes, node, {kManager, true});
  if (!applied) throw kube::ApiException(applied.error());
  node["metadata"].erase("labels");  // the status subresource would drop them
  const auto status = context.client.apply_status(resources::kNodes, node, {kManager, true});
  if (!status) throw kube::ApiException(status.error());
}

/// Keeps metadata alone.
void trim_to_metadata(json& object) {
  json metadata = kube::value_at(object, "/metadata");
  if (metadata.is_object()) {
    for (const char* key : {"managedFields", "annotations", "labels"}) metadata.erase(key);
  }
  object = {{"apiVersion", object.value("apiVersion", "")},
            {"kind", object.value("kind", "")},
            {"metadata", metadata}};
}

/// The informers of the agent, in one place so that they start and stop together.
class Informers {
 public:
  explicit Informers(const NodeContext& context) : context_(context) {}
  ~Informers() { stop(); }

  kube::Informer& whole(const kube::GroupVersionResource& gvr) {
    return all_.emplace_back(context_.client, gvr, kube::Informer::Options());
  }
  kube::Informer& metadata(const kube::GroupVersionResource& gvr) {
    kube::Informer::Options options;
    options.trim = trim_to_metadata;
    return all_.emplace_back(context_.client, gvr, options);
  }
  void start() {
    for (kube::Informer& informer : all_) informer.start();
  }
  void stop() {
    for (kube::Informer& informer : all_) informer.stop();
  }
  bool synced() const {
    return std::all_of(all_.begin(), all_.end(),
                       [](const kube::Informer& informer) { return informer.synced(); });
  }

 private:
  const NodeContext& context_;
  std::deque<kube::Informer> all_;
};

/// False when the shutdown came first.
bool wait_until(const Shutdown& shutdown, const std::function<bool()>& done) {
  while (!shutdown.requested()) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

bool try_register(const NodeContext& context, std::string& trouble) {
  try {
    register_node(context);
    return true;
  } catch (const Error& error) {
    if (trouble != error.what()) log::info("waiting for the API server", {{"error", error.what()}});
    trouble = error.what();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return false;
  }
}

}  // namespace

int run_node_agent(const NodeOptions& options) {
  Shutdown shutdown;
  NodeContext context = make_context(options);
  const PodNetwork network(context.dir);
  context.pod_network = network.number();
  std::string trouble;
  if (!wait_until(shutdown, [&] { return try_register(context, trouble); })) return 0;

  Informers informers(context);
  kube::Informer& pods = informers.whole(resources::kPods);
  kube::Informer& jobs = informers.whole(resources::kJobs);
  kube::Informer& deployments = informers.whole(resources::kDeployments);
  kube::Informer& services = informers.whole(resources::kServices);
  kube::Informer& claims = informers.whole(resources::kPersistentVolumeClaims);
  kube::Informer& accounts = informers.metadata(resources::kServiceAccounts);
  kube::Informer& namespaces = informers.metadata(resources::kNamespaces);

  JobController job_controller(context, jobs, pods);
  DeploymentController deployment_controller(context, deployments, pods);
  EndpointsController endpoints_controller(context, services, pods);
  ClaimController claim_controller(context, claims);
  AccountController account_controller(context, namespaces, accounts);
  Kubelet kubelet(context, pods);

  informers.start();
  if (wait_until(shutdown, [&] { return informers.synced(); })) {
    kubelet.start();
    const std::array<ControlLoop*, 5> loops = {&job_controller.loop(), &deployment_controller.loop(),
                                               &endpoints_controller.loop(), &claim_controller.loop(),
                                               &account_controller.loop()};
    for (ControlLoop* loop : loops) loop->start();
    log::info("node agent runs", {{"dir", context.dir.string()}, {"pods", pods.list().size()}});
    shutdown.wait();
    for (ControlLoop* loop : loops) loop->stop();
  }
  informers.stop();  // before the parts that their news go to
  return 0;
}

Command node_command() {
  return {
      "node", "Run Jobs and Deployments of an API server as local processes", [](CLI::App& app) {
        auto options = std::make_shared<NodeOptions>();
        app.add_option("--kubeconfig", options->kubeconfig, "API server to serve")
            ->required()
            ->check(CLI::ExistingFile);
        app.add_option("--dir", options->dir, "Where pods and volumes lie")->required();
        app.add_option("--node-name", options->node_name, "Name of the Node object")->capture_default_str();
        return [options] { return run_node_agent(*options); };
      }};
}

Command container_command() {
  return {"container", "Run one container to its end (the node agent calls this)", [](CLI::App& app) {
            auto attempt = std::make_shared<fs::path>();
            app.add_option("attempt", *attempt, "The attempt's folder")
                ->required()
                ->check(CLI::ExistingDirectory);
            return [attempt] { return run_shim(*attempt); };
          }};
}

}  // namespace stepdown::local
