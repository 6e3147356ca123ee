#include "operator/kube/leader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <random>
#include <thread>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/kube/resources.h"
#include "operator/kube/time.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;
using Clock = LeaderElector::Clock;

/// The last change of the lease that this machine saw, and when.
struct Observation {
  std::string resource_version;
  Clock::time_point at;
};

std::string now_text() {
  return format_micro_time(std::chrono::system_clock::now());
}

std::int64_t whole_seconds(std::chrono::milliseconds duration) {
  return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(duration).count());
}

}  // namespace

struct LeaderElector::State {
  State(const Client& c, Options o)
      : options(std::move(o)),
        client(c.with_timeout(std::max<std::chrono::milliseconds>(options.renew_deadline / 2,
                                                                  std::chrono::milliseconds(100)))) {}

  json fresh_lease() const {
    return {{"apiVersion", "coordination.k8s.io/v1"},
            {"kind", "Lease"},
            {"metadata", {{"namespace", options.lease.ns}, {"name", options.lease.name}}},
            {"spec",
             {{"holderIdentity", options.identity},
              {"leaseDurationSeconds", whole_seconds(options.duration)},
              {"acquireTime", now_text()},
              {"renewTime", now_text()},
              {"leaseTransitions", 0}}}};
  }

  /// Free, or held by a copy that has not renewed it for its duration on our clock.
  bool takeable(const json& lease) {
    const std::string seen = resource_version_of(lease);
    if (seen != observed.resource_version) observed = {seen, options.now()};
    const std::string holder = text_at(lease, "/spec/holderIdentity");
    if (holder.empty() || holder == options.identity) return true;
    const std::chrono::seconds duration(
        std::clamp<std::int64_t>(integer_at(lease, "/spec/leaseDurationSeconds", 15), 1, 3600));
    return options.now() - observed.at >= duration;
  }

  json claimed(json lease) const {
    const bool was_ours = text_at(lease, "/spec/holderIdentity") == options.identity;
    if (!lease["spec"].is_object()) lease["spec"] = json::object();
    json& spec = lease["spec"];
    if (!was_ours) {
      spec["leaseTransitions"] = integer_at(lease, "/spec/leaseTransitions", 0) + 1;
      spec["acquireTime"] = now_text();
    }
    spec["holderIdentity"] = options.identity;
    spec["leaseDurationSeconds"] = whole_seconds(options.duration);
    spec["renewTime"] = now_text();
    return lease;
  }

  /// Whether the lease is ours and was written just now.
  bool try_claim() {
    const auto found = client.get(resources::kLeases, options.lease);
    if (!found && !found.error().not_found()) throw ApiException(found.error());
    if (!found) {
      const auto created = client.create(resources::kLeases, fresh_lease());
      if (!created && !created.error().already_exists()) throw ApiException(created.error());
      return created.ok();
    }
    if (!takeable(*found)) {
      held = false;
      return false;
    }
    const auto replaced = client.replace(resources::kLeases, claimed(*found));
    if (!replaced && !replaced.error().conflict()) throw ApiException(replaced.error());
    return replaced.ok();
  }

  bool leading() const { return held && options.now() - renewed_at < options.renew_deadline; }

  Options options;
  Client client;
  Observation observed;
  bool held = false;
  Clock::time_point renewed_at;
  std::mt19937 random{std::random_device{}()};
};

LeaderElector::LeaderElector(Client client, Options options)
    : state_(std::make_unique<State>(client, std::move(options))) {}
LeaderElector::~LeaderElector() = default;

bool LeaderElector::step() {
  // The time before the request is what counts: the answer may be slow.
  const auto began = state_->options.now();
  try {
    if (state_->try_claim()) {
      state_->held = true;
      state_->renewed_at = began;
    }
  } catch (const Error& error) {
    log::warn("cannot reach the leader lease",
              {{"lease", state_->options.lease.text()}, {"error", error.what()}});
  }
  return leading();
}

bool LeaderElector::leading() const {
  return state_->leading();
}

void LeaderElector::release() {
  if (!state_->held) return;
  state_->held = false;
  try {
    const auto found = state_->client.get(resources::kLeases, state_->options.lease);
    if (!found || text_at(*found, "/spec/holderIdentity") != state_->options.identity) return;
    json lease = *found;
    lease["spec"]["holderIdentity"] = "";
    lease["spec"]["leaseDurationSeconds"] = 1;
    lease["spec"]["renewTime"] = now_text();
    const auto released = state_->client.replace(resources::kLeases, lease);
    if (!released) log::warn("cannot release the leader lease", {{"error", released.error().text()}});
  } catch (const Error& error) {
    log::warn("cannot release the leader lease", {{"error", error.what()}});
  }
}

bool LeaderElector::run(std::stop_token stop, const std::function<void(std::stop_token)>& lead) {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool finished = false;
  std::exception_ptr failure;
  const auto pause = [&] {
    const auto period = state_->options.retry_period;
    std::uniform_int_distribution<std::int64_t> jitter(0, period.count() / 5);
    std::unique_lock lock(mutex);
    changed.wait_for(lock, stop, period + std::chrono::milliseconds(jitter(state_->random)),
                     [&] { return finished; });
    return !finished && !stop.stop_requested();
  };
  while (!step()) {
    if (!pause()) return true;
  }
  log::info("leading", {{"lease", state_->options.lease.text()}, {"identity", state_->options.identity}});
  std::jthread work([&](const std::stop_token& work_stop) {
    try {
      lead(work_stop);
    } catch (...) {
      failure = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex);
      finished = true;
    }
    changed.notify_all();
  });
  bool lost = false;
  while (!lost && pause()) {
    // A failed renewal is tried again until the deadline, so leading() decides, not one try.
    lost = !step();
  }
  work.request_stop();
  work.join();
  if (failure) std::rethrow_exception(failure);
  if (lost) log::warn("leadership lost", {{"lease", state_->options.lease.text()}});
  if (!lost) release();
  return !lost;
}

}  // namespace stepdown::kube
