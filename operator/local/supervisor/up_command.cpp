#include "operator/local/supervisor/up_command.h"

#include <cstdio>
#include <deque>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/log.h"
#include "engine/base/shutdown.h"
#include "operator/kube/config.h"
#include "operator/kube/resources.h"
#include "operator/local/node/kubelet.h"
#include "operator/local/node/memory_limit.h"
#include "operator/local/node/pod_plan.h"
#include "operator/local/state_folder.h"
#include "operator/local/supervisor/crds.h"
#include "operator/local/supervisor/instance.h"
#include "operator/local/supervisor/process.h"

namespace stepdown::local {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds kTick{20};
constexpr std::chrono::seconds kStartLimit{60};
constexpr std::chrono::seconds kPodGrace{30};
constexpr std::chrono::seconds kStopLimit{120};
constexpr std::chrono::seconds kProgress{5};

struct UpOptions {
  fs::path dir = default_dir();
  fs::path operator_program;
  std::vector<std::string> images;
  bool detach = false;
};

fs::path own_program() {
  return fs::read_symlink("/proc/self/exe");
}

/// The four processes, in the order in which they start.
class Stack {
 public:
  Stack(const UpOptions& options, const Shutdown& shutdown) : dir_(options.dir), shutdown_(shutdown) {
    const std::string self = own_program().string();
    const std::string kubeconfig = (dir_ / "kubeconfig").string();
    const fs::path logs = dir_ / "logs";
    api_ = &processes_.emplace_back(
        "api", std::vector<std::string>{self, "local", "api", "--dir", dir_.string()}, logs / "api.log");
    node_ = &processes_.emplace_back(
        "node",
        std::vector<std::string>{self, "local", "node", "--kubeconfig", kubeconfig, "--dir", dir_.string()},
        logs / "node.log");
    proxy_ = &processes_.emplace_back(
        "proxy", std::vector<std::string>{self, "local", "proxy", "--kubeconfig", kubeconfig},
        logs / "proxy.log");
    operator_ = &processes_.emplace_back(
        "operator",
        std::vector<std::string>{options.operator_program.string(), "--kubeconfig", kubeconfig,
                                 // any free port: several embedded clusters share one machine
                                 "--metrics-addr", "127.0.0.1:0"},
        logs / "operator.log");
  }

  /// False when a signal came first. Throws Error when a part does not come up.
  bool start() {
    started_ = 1;
    // The kubeconfig is old until the API server has written it anew: only an answer counts.
    if (!wait_for(*api_, [this] { return answers(); })) return false;
    install_crds(client());
    started_ = processes_.size();
    return wait_for(*node_, [this] { return node_ready(); }) &&
           wait_for(*operator_, [this] { return operator_->running(); });
  }

  void run() {
    while (!shutdown_.requested()) tend();
  }

  /// The operator first, so that it does not work against the end; the API server last, after the pods.
  void stop() {
    operator_->stop(std::chrono::seconds(10));
    node_->stop(std::chrono::seconds(10));
    stop_all_containers(dir_ / "pods", kPodGrace);
    proxy_->stop(std::chrono::seconds(10));
    api_->stop(std::chrono::seconds(10));
  }

 private:
  kube::Client client() const { return kube::Client(kube::load_kubeconfig({dir_ / "kubeconfig"})); }

  bool answers() const {
    try {
      return fs::exists(dir_ / "kubeconfig") && client().raw("/readyz").ok();
    } catch (const Error&) {
      return false;  // not yet
    }
  }

  bool node_ready() const {
    const auto nodes = client().list_all(kube::resources::kNodes);
    return nodes && !nodes->empty();
  }

  void tend() {
    for (std::size_t i = 0; i < started_; ++i) processes_[i].tend();
    std::this_thread::sleep_for(kTick);
  }

  bool wait_for(const SupervisedProcess& process, const std::function<bool()>& up) {
    const auto deadline = Clock::now() + kStartLimit;
    while (!shutdown_.requested()) {
      tend();
      if (up()) return true;
      if (Clock::now() > deadline || process.deaths() >= 3) {
        throw Error("the " + process.name() + " process does not start", process.log().string(),
                    "see its log");
      }
    }
    return false;
  }

  fs::path dir_;
  const Shutdown& shutdown_;
  std::deque<SupervisedProcess> processes_;
  SupervisedProcess* api_ = nullptr;
  SupervisedProcess* node_ = nullptr;
  SupervisedProcess* proxy_ = nullptr;
  SupervisedProcess* operator_ = nullptr;
  std::size_t started_ = 0;
};

void print_usage(const fs::path& dir, double seconds) {
  const std::string path = dir.string();
  std::printf(
      "Stepdown is up in %.1f s.\n\n"
      "  export KUBECONFIG=%s/kubeconfig\n"
      "  kubectl get qm -w\n\n"
      "Logs: %s/logs, pods: %s/pods\n"
      "Stop it: kubectl stepdown local down --dir %s\n",
      seconds, path.c_str(), path.c_str(), path.c_str(), path.c_str());
  if (!memory_limits_work()) {
    std::printf("\nMemory limits of pods are not enforced: that takes root, or a delegated memory cgroup.\n");
  }
  std::fflush(stdout);
}

int supervise(const UpOptions& options) {
  const auto began = Clock::now();
  const FolderLock lock(up_lock(options.dir));
  Shutdown shutdown;
  std::error_code error;
  fs::remove(options.dir / "ready", error);
  Stack stack(options, shutdown);
  try {
    if (stack.start()) {
      write_file_atomically(options.dir / "ready", "");
      print_usage(options.dir, std::chrono::duration<double>(Clock::now() - began).count());
      stack.run();
      std::fprintf(stderr, "stopping\n");
    }
  } catch (...) {
    stack.stop();
    throw;
  }
  stack.stop();
  fs::remove(options.dir / "ready", error);
  return kDone;
}

/// Runs the supervisor in the background and waits until it is ready.
int detach(const UpOptions& options) {
  std::error_code error;
  fs::remove(options.dir / "ready", error);
  const auto began = Clock::now();
  const pid_t child = ::fork();
  if (child < 0) throw Error("cannot fork");
  if (child == 0) {
    ::setsid();
    const fs::path log = options.dir / "logs" / "up.log";
    if (std::freopen("/dev/null", "r", stdin) == nullptr ||
        std::freopen(log.c_str(), "a", stdout) == nullptr ||
        std::freopen(log.c_str(), "a", stderr) == nullptr) {
      ::_exit(kFailed);
    }
    const std::string self = own_program().string();
    ::execl(self.c_str(), self.c_str(), "local", "up", "--dir", options.dir.c_str(), "--operator",
            options.operator_program.c_str(), nullptr);
    ::_exit(kFailed);
  }
  while (!fs::exists(options.dir / "ready")) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) {
      throw Error("it did not start", (options.dir / "logs" / "up.log").string(), "see the log");
    }
    std::this_thread::sleep_for(kTick);
  }
  print_usage(options.dir, std::chrono::duration<double>(Clock::now() - began).count());
  return kDone;
}

/// The node agent finds them there, now and whenever this folder is brought up again.
void add_images(const UpOptions& options) {
  for (const std::string& given : options.images) {
    const std::size_t equals = given.find('=');
    const fs::path program = equals == std::string::npos ? "" : fs::path(given.substr(equals + 1));
    const std::string name = image_name(given.substr(0, equals));
    if (name.empty() || name.find("..") != std::string::npos || !fs::is_regular_file(program)) {
      throw InputError("no image and program of it", "--image " + given,
                       "such as ghcr.io/ggml-org/llama.cpp=/usr/bin/llama-server");
    }
    const fs::path link = options.dir / "images" / fs::path(name).relative_path();
    fs::create_directories(link.parent_path());
    fs::remove(link);
    fs::create_symlink(fs::canonical(program), link);
  }
}

int up(UpOptions options) {
  options.dir = open_state_folder(options.dir);
  add_images(options);
  fs::create_directories(options.dir / "logs");
  if (options.operator_program.empty())
    options.operator_program = own_program().parent_path() / "stepdown-operator";
  if (!fs::exists(options.operator_program)) {
    throw Error("the operator's program is missing", options.operator_program.string(),
                "build or install it");
  }
  if (const auto pid = lock_holder(up_lock(options.dir))) {
    throw InputError("already up (process " + std::to_string(*pid) + ")", options.dir.string(),
                     "kubectl stepdown local down --dir " + options.dir.string());
  }
  return options.detach ? detach(options) : supervise(options);
}

/// Tells every few seconds which pods still run.
void await_end(const fs::path& dir, pid_t pid) {
  const auto began = Clock::now();
  auto told = began;
  while (lock_holder(up_lock(dir)) == pid) {
    std::this_thread::sleep_for(kTick);
    const auto now = Clock::now();
    if (now - began > kStopLimit) {
      throw Error("it does not stop", "process " + std::to_string(pid), "kill -9 " + std::to_string(pid));
    }
    if (now - told < kProgress) continue;
    told = now;
    std::string names;
    for (const std::string& pod : running_pods(dir / "pods")) names += " " + pod;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - began).count();
    std::fprintf(stderr, "%3lld s: waiting for%s; pods are killed after %lld s\n",
                 static_cast<long long>(seconds), names.empty() ? " the last processes" : names.c_str(),
                 static_cast<long long>(kPodGrace.count()));
  }
}

int down(const fs::path& dir) {
  if (const auto pid = lock_holder(up_lock(dir))) {
    ::kill(*pid, SIGTERM);
    await_end(dir, *pid);
    std::printf("stopped %s\n", dir.c_str());
    return kDone;
  }
  // A supervisor that was killed took its processes along, but not the pods.
  stop_all_containers(dir / "pods", kPodGrace);
  std::printf("nothing was up in %s\n", dir.c_str());
  return kDone;
}

}  // namespace

Command up_command() {
  return {"up", "Start the API server, the node agent and the operator, and keep them running",
          [](CLI::App& app) {
            auto options = std::make_shared<UpOptions>();
            app.add_option("--dir", options->dir, "State, logs and volumes")
                ->capture_default_str()
                ->type_name("DIR");
            app.add_option("--operator", options->operator_program,
                           "The operator's program (default: stepdown-operator beside this one)")
                ->type_name("FILE");
            app.add_option("--image", options->images,
                           "Program that pods with an image run, such as "
                           "ghcr.io/ggml-org/llama.cpp=/usr/bin/llama-server; remembered")
                ->type_name("NAME=PROGRAM");
            app.add_flag("--detach,-d", options->detach, "Return once it is up, and leave it running");
            return [options] { return up(*options); };
          }};
}

Command down_command() {
  return {
      "down", "Stop what `up` started, pods included; objects and volumes stay for the next `up`",
      [](CLI::App& app) {
        auto dir = std::make_shared<fs::path>(default_dir());
        app.add_option("--dir", *dir, "The folder given to `up`")->capture_default_str()->type_name("DIR");
        return [dir] { return down(*dir); };
      }};
}

}  // namespace stepdown::local
