#include "operator/local/node/pod_runner.h"

#include <algorithm>
#include <csignal>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/log.h"
#include "operator/kube/resources.h"
#include "operator/kube/time.h"

namespace stepdown::local {

namespace fs = std::filesystem;
using kube::text_at;
using nlohmann::json;
using Kind = ContainerState::Kind;
using Steady = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr std::chrono::seconds kRetry{1};

std::string now_text() {
  return kube::format_time(std::chrono::system_clock::now());
}

std::string start_time_of(const json& pod) {
  const std::string known = text_at(pod, "/status/startTime");
  return known.empty() ? now_text() : known;
}

std::chrono::seconds run_time(const ContainerState& state) {
  const auto from = kube::parse_time(state.started_at);
  const auto to = kube::parse_time(state.finished_at);
  return from && to ? std::chrono::duration_cast<std::chrono::seconds>(*to - *from) : std::chrono::seconds(0);
}

/// What the API knew of a running container before this agent began: probes go on from there.
std::pair<bool, bool> known_probes(const json& pod, const std::string& container, int attempt) {
  for (const json& status : kube::value_at(pod, "/status/containerStatuses")) {
    if (text_at(status, "/name") != container || kube::integer_at(status, "/restartCount", -1) != attempt)
      continue;
    return {kube::value_at(status, "/started") == true, kube::value_at(status, "/ready") == true};
  }
  return {false, false};
}

}  // namespace

std::chrono::seconds restart_delay(int attempt, std::chrono::seconds ran_for) {
  if (attempt <= 0 || ran_for >= std::chrono::minutes(10)) return std::chrono::seconds(0);
  return std::chrono::seconds(std::min(60, 1 << std::min(attempt - 1, 6)));
}

bool should_restart(RestartPolicy policy, int exit_code) {
  return policy == RestartPolicy::kAlways || (policy == RestartPolicy::kOnFailure && exit_code != 0);
}

PodRunner::PodRunner(const NodeContext& context, kube::EventRecorder& events, kube::ObjectPtr pod,
                     std::string ip)
    : context_(context),
      events_(events),
      key_(kube::key_of(*pod)),
      uid_(kube::uid_of(*pod)),
      ip_(std::move(ip)),
      folder_(context.pods() / (key_.ns + "_" + key_.name)),
      started_at_(start_time_of(*pod)),
      pod_(std::move(pod)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

PodRunner::~PodRunner() {
  thread_.request_stop();
  thread_.join();
}

void PodRunner::update(kube::ObjectPtr pod) {
  {
    const std::lock_guard lock(mutex_);
    pod_ = std::move(pod);
    updated_ = true;
  }
  woken_.notify_all();
}

bool PodRunner::finished() const {
  const std::lock_guard lock(mutex_);
  return finished_;
}

kube::ObjectPtr PodRunner::current() const {
  const std::lock_guard lock(mutex_);
  return pod_;
}

void PodRunner::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    bool over = false;
    try {
      over = step();
    } catch (const std::exception& error) {
      log::warn("pod will try again", {{"pod", key_.text()}, {"error", error.what()}});
      next_try_ = Steady::now() + kRetry;
    }
    std::unique_lock lock(mutex_);
    if (over) {
      finished_ = true;
      return;
    }
    woken_.wait_for(lock, stop, next_try_ ? std::chrono::milliseconds(kRetry) : kTick,
                    [this] { return updated_; });
    updated_ = false;
    next_try_.reset();
  }
}

/// Whether the runner's work is over.
bool PodRunner::step() {
  const kube::ObjectPtr pod = current();
  gone_ = gone_ || pod == nullptr || kube::uid_of(*pod) != uid_;
  if (!planned_) begin();
  if (gone_ || kube::is_being_deleted(*pod)) return terminate();
  if (!volumes_) return false;
  try {
    volumes_->prepare();
    volumes_->refresh();
  } catch (const Error& error) {
    wait_all("ContainerCreating");
    if (!gone_) {
      events_.warning(
          {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", kube::value_at(*pod, "/metadata")}}, "Mount",
          "FailedMount", error.what());
    }
    publish();
    next_try_ = Steady::now() + kRetry;
    return false;
  }
  advance();
  publish();
  const PodPhase phase = phase_of(view_);
  return phase == PodPhase::kSucceeded || phase == PodPhase::kFailed;
}

/// Plans the pod, and adopts what an earlier agent started of it.
void PodRunner::begin() {
  view_.ip = ip_;
  fs::create_directories(folder_);
  write_file_atomically(folder_ / "pod.json",
                        json{{"namespace", key_.ns}, {"name", key_.name}, {"uid", uid_}, {"ip", ip_}}.dump());
  planned_ = true;  // not before: what could not be written is tried again
  const kube::ObjectPtr pod = current();
  if (!pod) return;
  published_ = kube::value_at(*pod, "/status");
  try {
    plan_ = plan_pod(*pod, ip_, context_.environment);
    view_.restart_policy = plan_.restart_policy;
    const auto track = [&](const std::vector<ContainerPlan>& plans, std::deque<Tracked>& into) {
      for (const ContainerPlan& plan : plans) {
        Tracked& tracked =
            into.emplace_back(Tracked{&plan, Container(folder_ / plan.name), {}, {}, {}, {}, {}, -1, {}});
        tracked.view.name = plan.name;
        tracked.view.image = plan.image;
        const ContainerState state = tracked.container.state();
        tracked.attempt = state.attempt;
        const auto [started, ready] = known_probes(*pod, plan.name, state.attempt);
        const bool running = state.kind == Kind::kRunning;
        reset_probes(tracked, running && started, running && ready);
        if (running) log::info("adopted a container", {{"pod", key_.text()}, {"container", plan.name}});
      }
    };
    track(plan_.init_containers, init_);
    track(plan_.containers, main_);
    volumes_.emplace(context_, *pod, folder_ / "volumes");
  } catch (const Error& error) {
    for (const json& container : kube::value_at(*pod, "/spec/containers")) {
      ContainerView view;
      view.name = text_at(container, "/name");
      view.image = text_at(container, "/image");
      view.waiting_reason = "CreateContainerConfigError";
      view.waiting_message = error.what();
      view_.containers.push_back(std::move(view));
    }
    publish();
  }
}

void PodRunner::advance() {
  for (Tracked& tracked : init_) {
    advance_container(tracked);
    tracked.view.ready = tracked.view.state.kind == Kind::kExited && tracked.view.state.exit_code == 0;
    if (!tracked.view.ready) break;
  }
  const bool initialized =
      std::all_of(init_.begin(), init_.end(), [](const Tracked& t) { return t.view.ready; });
  for (Tracked& tracked : main_) {
    if (initialized) {
      advance_container(tracked);
    } else {
      tracked.view.waiting_reason = "PodInitializing";
    }
  }
  view_.init_containers.clear();
  view_.containers.clear();
  for (const Tracked& tracked : init_) view_.init_containers.push_back(tracked.view);
  for (const Tracked& tracked : main_) view_.containers.push_back(tracked.view);
}

void PodRunner::advance_container(Tracked& tracked) {
  ContainerView& view = tracked.view;
  const bool init = std::any_of(init_.begin(), init_.end(), [&](const Tracked& t) { return &t == &tracked; });
  view.waiting_reason.clear();
  view.waiting_message.clear();
  view.state = tracked.container.state();
  view.previous = tracked.container.previous_state();
  if (view.state.attempt != tracked.attempt) {
    tracked.attempt = view.state.attempt;
    reset_probes(tracked, false, false);
  }
  if (view.state.kind == Kind::kNone) return start_container(tracked);
  if (view.state.kind == Kind::kRunning) return probe_container(tracked);
  view.started = false;
  view.ready = false;
  const bool again = init ? view.state.exit_code != 0 && plan_.restart_policy != RestartPolicy::kNever
                          : should_restart(plan_.restart_policy, view.state.exit_code);
  if (!again) return;
  const auto finished = kube::parse_time(view.state.finished_at);
  const auto delay = restart_delay(view.state.attempt, run_time(view.state));
  if (finished && std::chrono::system_clock::now() < *finished + delay) {
    view.waiting_reason = "CrashLoopBackOff";
    view.waiting_message =
        "back-off " + std::to_string(delay.count()) + "s restarting failed container=" + view.name;
    return;
  }
  start_container(tracked);
}

void PodRunner::start_container(Tracked& tracked) {
  const ContainerPlan& plan = *tracked.plan;
  const auto wait = [&](const char* reason, const std::string& message) {
    tracked.view.waiting_reason = reason;
    tracked.view.waiting_message = message;
    next_try_ = Steady::now() + kRetry;
  };
  const auto program = image_program(plan.image, context_.binaries(), context_.images());
  if (!program) {
    return wait("ErrImagePull", "image \"" + plan.image +
                                    "\" is unknown to the local node: use stepdown/engine, "
                                    "stepdown/gateway or stepdown/operator, or say what program it "
                                    "stands for: local up --image NAME=PROGRAM");
  }
  if (plan.command.empty() && !fs::exists(*program)) {
    return wait("ErrImagePull",
                "image \"" + plan.image + "\" needs " + program->string() + ": build or install it");
  }
  try {
    ContainerSpec spec;
    spec.argv = plan.command;
    if (spec.argv.empty()) spec.argv = {program->string()};
    spec.argv.insert(spec.argv.end(), plan.args.begin(), plan.args.end());
    spec.env = plan.env;
    spec.working_dir = plan.working_dir;
    spec.log = fs::absolute(folder_ / (plan.name + ".log"));
    spec.log_as_message = plan.log_as_message;
    spec.memory_limit = plan.memory_limit;
    spec.cgroup = uid_ + "-" + plan.name;
    for (const VolumeMount& mount : plan.mounts) {
      const fs::path source = volumes_->path_of(mount.volume);
      const fs::path part =
          mount.sub_path.empty() ? source : source / fs::path(mount.sub_path).relative_path();
      if (!fs::exists(part) && !mount.read_only) fs::create_directories(part);
      spec.mounts.push_back({fs::absolute(part), mount.target, mount.read_only});
    }
    if (!volumes_->service_account().empty()) {
      spec.mounts.push_back({fs::absolute(volumes_->service_account()), kServiceAccountPath, true});
    }
    tracked.container.start(std::move(spec), plan.termination_path, context_.program);
    log::info("started a container", {{"pod", key_.text()}, {"container", plan.name}, {"ip", ip_}});
  } catch (const Error& error) {
    return wait("CreateContainerError", error.what());
  }
  tracked.view.state = tracked.container.state();
  tracked.view.previous = tracked.container.previous_state();
  tracked.attempt = tracked.view.state.attempt;
  reset_probes(tracked, false, false);
}

void PodRunner::reset_probes(Tracked& tracked, bool started, bool ready) {
  const auto counter = [](const std::optional<Probe>& probe, bool passing) {
    return probe ? std::optional<ProbeCounter>(ProbeCounter(*probe, passing)) : std::nullopt;
  };
  tracked.startup = counter(tracked.plan->startup, started);
  tracked.readiness = counter(tracked.plan->readiness, ready);
  tracked.liveness = counter(tracked.plan->liveness, true);
  tracked.seen_running.reset();
  tracked.kill_at.reset();
  tracked.view.started = started;
  tracked.view.ready = ready;
}

void PodRunner::probe_container(Tracked& tracked) {
  const auto now = Steady::now();
  if (!tracked.seen_running) tracked.seen_running = now;
  if (tracked.kill_at) {
    if (now >= *tracked.kill_at) tracked.container.signal(SIGKILL);
    return;
  }
  const auto failed = [&](std::optional<ProbeCounter>& counter, const std::optional<Probe>& probe,
                          const char* what) {
    if (!counter || !counter->due(now, *tracked.seen_running)) return false;
    const ProbeResult result = run_probe(*probe);
    if (counter->count(result, now)) {
      log::info(std::string(what) + (counter->passing() ? " probe passes" : " probe fails"),
                {{"pod", key_.text()}, {"container", tracked.plan->name}, {"message", result.message}});
    }
    return counter->failed();
  };
  const ContainerPlan& plan = *tracked.plan;
  const bool starting = tracked.startup && !tracked.startup->passing();
  const bool hopeless = starting ? failed(tracked.startup, plan.startup, "startup")
                                 : failed(tracked.liveness, plan.liveness, "liveness");
  tracked.view.started = !tracked.startup || tracked.startup->passing();
  if (tracked.view.started) failed(tracked.readiness, plan.readiness, "readiness");
  tracked.view.ready = tracked.view.started && (!tracked.readiness || tracked.readiness->passing());
  if (hopeless) {
    tracked.container.signal(SIGTERM);
    tracked.kill_at = now + plan_.grace;
    tracked.view.ready = false;
  }
}

/// Stops the containers, within the grace that the deletion allows; then lets the API server forget the pod.
bool PodRunner::terminate() {
  const auto now = Steady::now();
  const kube::ObjectPtr pod = current();
  const bool first = !stop_deadline_;
  if (first) {
    const auto grace =
        pod ? kube::seconds_at(*pod, "/metadata/deletionGracePeriodSeconds", plan_.grace.count())
            : std::chrono::seconds(0);
    stop_deadline_ = now + (gone_ ? std::chrono::seconds(2) : grace);
  }
  view_.terminating = true;
  bool running = false;
  view_.init_containers.clear();
  view_.containers.clear();
  for (auto* list : {&init_, &main_}) {
    for (Tracked& tracked : *list) {
      tracked.view.state = tracked.container.state();
      tracked.view.ready = tracked.view.started = false;
      tracked.view.waiting_reason.clear();
      if (tracked.view.state.kind == Kind::kRunning) {
        running = true;
        if (first) tracked.container.signal(SIGTERM);
        if (now >= *stop_deadline_) tracked.container.signal(SIGKILL);
      }
      (list == &init_ ? view_.init_containers : view_.containers).push_back(tracked.view);
    }
  }
  if (!gone_) publish();
  if (running) return false;
  if (!gone_) {
    kube::DeleteOptions at_once;
    at_once.grace_period_seconds = 0;
    at_once.uid = uid_;
    const auto removed = context_.client.remove(kube::resources::kPods, key_, at_once);
    if (!removed && !removed.error().not_found() && !removed.error().conflict()) {
      throw kube::ApiException(removed.error());
    }
  }
  clean_up();
  return true;
}

void PodRunner::clean_up() {
  std::error_code error;
  fs::remove_all(folder_, error);
  if (error)
    log::warn("cannot remove a pod's folder", {{"folder", folder_.string()}, {"error", error.message()}});
}

void PodRunner::wait_all(const std::string& reason) {
  view_.containers.clear();
  for (Tracked& tracked : main_) {
    tracked.view.state = tracked.container.state();
    if (tracked.view.state.kind == Kind::kNone) {
      tracked.view.waiting_reason = reason;
      tracked.view.waiting_message.clear();
    }
    view_.containers.push_back(tracked.view);
  }
}

void PodRunner::publish() {
  json status = pod_status(view_, published_, started_at_, now_text());
  bool same = true;
  for (const auto& [key, value] : status.items())
    same = same && published_.contains(key) && published_[key] == value;
  if (same) return;
  const auto patched = context_.client.patch_merge(
      kube::resources::kPods, key_, {{"metadata", {{"uid", uid_}}}, {"status", status}}, "status");
  if (patched) {
    published_ = kube::value_at(*patched, "/status");
    // What the server fills in or drops must not look like a change each time.
    for (const auto& [key, value] : status.items()) published_[key] = value;
    return;
  }
  const auto& causes = patched.error().causes;
  const bool successor = patched.error().invalid() && !causes.empty() && causes[0].field == "metadata.uid";
  if (patched.error().not_found() || patched.error().conflict() || successor) {
    gone_ = true;
    return;
  }
  throw kube::ApiException(patched.error());
}

}  // namespace stepdown::local
