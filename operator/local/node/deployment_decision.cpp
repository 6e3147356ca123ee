#include "operator/local/node/deployment_decision.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/hash.h"
#include "operator/kube/object.h"
#include "operator/kube/time.h"

namespace stepdown::local {

using kube::integer_at;
using kube::text_at;
using kube::value_at;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Limits {
  std::int64_t surge = 1;
  std::int64_t unavailable = 0;
};

/// An absolute number or a share of the replicas ("25%").
std::int64_t share(const json& value, std::int64_t replicas, double otherwise, bool round_up) {
  if (value.is_number_integer()) return std::max<std::int64_t>(0, value.get<std::int64_t>());
  double part = otherwise;
  if (value.is_string()) part = std::strtod(value.get_ref<const std::string&>().c_str(), nullptr) / 100;
  const double exact = part * static_cast<double>(replicas);
  return static_cast<std::int64_t>(round_up ? std::ceil(exact) : std::floor(exact));
}

Limits limits_of(const json& deployment, std::int64_t replicas) {
  Limits limits;
  limits.surge = share(value_at(deployment, "/spec/strategy/rollingUpdate/maxSurge"), replicas, 0.25, true);
  limits.unavailable =
      share(value_at(deployment, "/spec/strategy/rollingUpdate/maxUnavailable"), replicas, 0.25, false);
  if (limits.surge == 0 && limits.unavailable == 0) limits.unavailable = 1;
  return limits;
}

struct Pod {
  std::string name;
  bool updated = false;
  bool ready = false;
  bool available = false;
  WallClock::time_point available_at{};
  std::string created;
};

struct Census {
  std::vector<Pod> pods;  ///< that live: neither being deleted nor over
  std::vector<std::string> over;
  std::set<std::string> names;
  bool any_leaving = false;

  std::int64_t count(bool Pod::*what) const {
    return std::count_if(pods.begin(), pods.end(), [what](const Pod& pod) { return pod.*what; });
  }
};

Census census(const std::vector<kube::ObjectPtr>& pods, const std::string& hash, seconds least_ready,
              WallClock::time_point now) {
  Census result;
  for (const kube::ObjectPtr& object : pods) {
    const std::string name = kube::key_of(*object).name;
    result.names.insert(name);
    if (kube::is_being_deleted(*object)) {
      result.any_leaving = true;
      continue;
    }
    if (pod_over(*object)) {
      result.over.push_back(name);
      continue;
    }
    Pod pod;
    pod.name = name;
    pod.updated = kube::label_of(*object, "pod-template-hash") == hash;
    pod.created = text_at(*object, "/metadata/creationTimestamp");
    if (const auto since = pod_ready_since(*object)) {
      pod.ready = true;
      pod.available_at = *since + least_ready;
      pod.available = now >= pod.available_at;
    }
    result.pods.push_back(std::move(pod));
  }
  return result;
}

/// NAME-<hash>-<n>: the lowest numbers that no pod bears, so that a stale cache makes no pod twice.
std::vector<std::string> free_names(const std::string& prefix, const std::set<std::string>& taken,
                                    std::int64_t count) {
  std::vector<std::string> names;
  count = std::min(count, kMostNewPods);
  for (int number = 0; static_cast<std::int64_t>(names.size()) < count; ++number) {
    std::string name = prefix + "-" + std::to_string(number);
    if (!taken.contains(name)) names.push_back(std::move(name));
  }
  return names;
}

void roll(const Census& census, std::int64_t replicas, const Limits& limits, const std::string& prefix,
          DeploymentDecision& decision) {
  const auto total = static_cast<std::int64_t>(census.pods.size());
  const std::int64_t updated = census.count(&Pod::updated);
  const std::int64_t room = replicas + limits.surge - total;
  const std::int64_t missing = std::max<std::int64_t>(0, std::min(room, replicas - updated));
  decision.create = free_names(prefix, census.names, missing);

  // Candidates to go: old pods, and new ones beyond the wanted number; those that serve nothing first.
  std::vector<const Pod*> leaving;
  for (const Pod& pod : census.pods) {
    if (!pod.updated) leaving.push_back(&pod);
  }
  const auto by_use = [](const Pod* a, const Pod* b) {
    return a->available != b->available ? !a->available : a->created > b->created;
  };
  std::stable_sort(leaving.begin(), leaving.end(), by_use);
  std::vector<const Pod*> extra;
  for (const Pod& pod : census.pods) {
    if (pod.updated) extra.push_back(&pod);
  }
  std::stable_sort(extra.begin(), extra.end(), by_use);
  extra.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, updated - replicas)));
  leaving.insert(leaving.end(), extra.begin(), extra.end());

  std::int64_t spare = census.count(&Pod::available) - (replicas - limits.unavailable);
  for (const Pod* pod : leaving) {
    if (pod->available && spare <= 0) continue;
    if (pod->available) --spare;
    decision.remove.push_back(pod->name);
  }
}

void recreate(const Census& census, std::int64_t replicas, const std::string& prefix,
              DeploymentDecision& decision) {
  const std::int64_t updated = census.count(&Pod::updated);
  for (const Pod& pod : census.pods) {
    if (!pod.updated) decision.remove.push_back(pod.name);
  }
  const bool old_left = updated != static_cast<std::int64_t>(census.pods.size()) || census.any_leaving;
  if (!old_left)
    decision.create = free_names(prefix, census.names, std::max<std::int64_t>(0, replicas - updated));
  std::int64_t surplus = updated - replicas;
  for (const Pod& pod : census.pods) {
    if (pod.updated && surplus-- > 0) decision.remove.push_back(pod.name);
  }
}

json status_of(const json& deployment, const Census& census, std::int64_t replicas, const Limits& limits,
               WallClock::time_point now, std::optional<milliseconds>& look_again) {
  const json& old = value_at(deployment, "/status");
  const std::int64_t total = static_cast<std::int64_t>(census.pods.size());
  const std::int64_t updated = census.count(&Pod::updated);
  const std::int64_t available = census.count(&Pod::available);
  json status = old.is_object() ? old : json::object();
  status["observedGeneration"] = integer_at(deployment, "/metadata/generation", 0);
  const auto set = [&status](const char* key, std::int64_t value) {
    if (value > 0) {
      status[key] = value;
    } else {
      status.erase(key);
    }
  };
  set("replicas", total);
  set("updatedReplicas", updated);
  set("readyReplicas", census.count(&Pod::ready));
  set("availableReplicas", available);
  set("unavailableReplicas", std::max<std::int64_t>(0, replicas - available));

  const bool enough = available >= replicas - limits.unavailable;
  status["conditions"] = with_condition(
      value_at(status, "/conditions"), "Available", enough,
      enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
      enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.",
      now);
  const std::int64_t updated_available = std::count_if(
      census.pods.begin(), census.pods.end(), [](const Pod& pod) { return pod.updated && pod.available; });
  const bool complete = updated == replicas && total == replicas && updated_available == replicas;
  bool progressed = integer_at(old, "/observedGeneration", -1) != status["observedGeneration"];
  for (const char* key : {"/updatedReplicas", "/readyReplicas", "/availableReplicas"}) {
    progressed = progressed || integer_at(status, key, 0) > integer_at(old, key, 0);
  }
  const auto& conditions = value_at(old, "/conditions");
  WallClock::time_point last_update = now;
  bool had_failed = false;
  for (const json& condition : conditions) {
    if (text_at(condition, "/type") != "Progressing") continue;
    last_update = kube::parse_time(text_at(condition, "/lastUpdateTime")).value_or(now);
    had_failed = text_at(condition, "/status") == "False";
  }
  if (progressed) last_update = now;
  const auto deadline = last_update + kube::seconds_at(deployment, "/spec/progressDeadlineSeconds", 600);
  const bool stuck = !complete && (now >= deadline || (had_failed && !progressed));
  if (!complete && !stuck) look_again = std::chrono::ceil<milliseconds>(deadline - now);
  const std::string name = kube::key_of(deployment).name;
  status["conditions"] = with_condition(status["conditions"], "Progressing", !stuck,
                                        complete ? "NewReplicaSetAvailable"
                                        : stuck  ? "ProgressDeadlineExceeded"
                                                 : "ReplicaSetUpdated",
                                        complete ? "Deployment \"" + name + "\" has successfully progressed."
                                        : stuck  ? "Deployment \"" + name + "\" has timed out progressing."
                                                 : "Deployment \"" + name + "\" is progressing.",
                                        now);
  for (json& condition : status["conditions"]) {
    const bool progressing = text_at(condition, "/type") == "Progressing";
    condition["lastUpdateTime"] =
        progressing && !complete ? json(kube::format_time(last_update)) : condition["lastTransitionTime"];
  }
  return status;
}

}  // namespace

std::string template_hash(const json& pod_template) {
  return sha256_hex(pod_template.dump()).substr(0, 10);
}

DeploymentDecision decide_deployment(const json& deployment, const std::vector<kube::ObjectPtr>& pods,
                                     WallClock::time_point now) {
  DeploymentDecision decision;
  decision.template_hash = template_hash(value_at(deployment, "/spec/template"));
  const std::int64_t replicas = std::max<std::int64_t>(0, integer_at(deployment, "/spec/replicas", 1));
  const seconds least_ready(integer_at(deployment, "/spec/minReadySeconds", 0));
  const Census found = census(pods, decision.template_hash, least_ready, now);
  const Limits limits = limits_of(deployment, replicas);
  const std::string prefix = kube::key_of(deployment).name + "-" + decision.template_hash;
  decision.status = status_of(deployment, found, replicas, limits, now, decision.look_again);
  for (const Pod& pod : found.pods) {
    if (!pod.ready || pod.available) continue;
    const auto wait = std::chrono::ceil<milliseconds>(pod.available_at - now);
    if (!decision.look_again || wait < *decision.look_again) decision.look_again = wait;
  }
  if (kube::is_being_deleted(deployment)) return decision;
  decision.remove = found.over;
  if (value_at(deployment, "/spec/paused") == true) return decision;
  if (text_at(deployment, "/spec/strategy/type") == "Recreate") {
    recreate(found, replicas, prefix, decision);
  } else {
    roll(found, replicas, limits, prefix, decision);
  }
  return decision;
}

}  // namespace stepdown::local
