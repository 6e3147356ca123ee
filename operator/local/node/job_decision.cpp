#include "operator/local/node/job_decision.h"

#include <algorithm>
#include <set>

#include "operator/kube/object.h"
#include "operator/kube/time.h"

namespace stepdown::local {

using kube::integer_at;
using kube::seconds_at;
using kube::text_at;
using kube::value_at;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr seconds kFirstRetry{1};
constexpr seconds kLongestRetry{60};

struct Tally {
  std::vector<const json*> active;
  std::int64_t succeeded = 0;
  std::int64_t failed = 0;  ///< that count against backoffLimit
  std::int64_t ready = 0;
  std::int64_t terminating = 0;
  WallClock::time_point last_failure{};
  std::string fatal;  ///< a podFailurePolicy rule said FailJob: why
};

bool rule_matches_exit(const json& requirement, const json& pod, std::string& how) {
  const std::string container = text_at(requirement, "/containerName");
  const bool in = text_at(requirement, "/operator") == "In";
  for (const json& status : value_at(pod, "/status/containerStatuses")) {
    if (!container.empty() && text_at(status, "/name") != container) continue;
    const std::int64_t code = integer_at(status, "/state/terminated/exitCode", 0);
    if (code == 0) continue;
    const json& values = value_at(requirement, "/values");
    const bool listed = std::find(values.begin(), values.end(), json(code)) != values.end();
    if (listed != in) continue;
    how = "Container " + text_at(status, "/name") + " for pod " + kube::key_of(pod).text() +
          " failed with exit code " + std::to_string(code);
    return true;
  }
  return false;
}

bool rule_matches_condition(const json& patterns, const json& pod) {
  for (const json& pattern : patterns) {
    for (const json& condition : value_at(pod, "/status/conditions")) {
      const std::string wanted = text_at(pattern, "/status").empty() ? "True" : text_at(pattern, "/status");
      if (text_at(condition, "/type") == text_at(pattern, "/type") && text_at(condition, "/status") == wanted)
        return true;
    }
  }
  return false;
}

/// The action of the first matching rule of the podFailurePolicy: "Count" where none matches.
std::string failure_action(const json& job, const json& pod, std::string& how) {
  int index = 0;
  for (const json& rule : value_at(job, "/spec/podFailurePolicy/rules")) {
    const bool matches = rule.contains("onExitCodes")
                             ? rule_matches_exit(rule["onExitCodes"], pod, how)
                             : rule_matches_condition(value_at(rule, "/onPodConditions"), pod);
    if (matches) {
      how += " matching " + text_at(rule, "/action") + " rule at index " + std::to_string(index);
      return text_at(rule, "/action");
    }
    ++index;
  }
  return "Count";
}

WallClock::time_point end_of(const json& pod) {
  WallClock::time_point end{};
  for (const json& status : value_at(pod, "/status/containerStatuses")) {
    if (const auto time = kube::parse_time(text_at(status, "/state/terminated/finishedAt")))
      end = std::max(end, *time);
  }
  return end;
}

Tally tally(const json& job, const std::vector<kube::ObjectPtr>& pods) {
  Tally result;
  for (const kube::ObjectPtr& pod : pods) {
    const std::string phase = text_at(*pod, "/status/phase");
    if (phase == "Succeeded") {
      ++result.succeeded;
    } else if (phase == "Failed") {
      std::string how;
      const std::string action = failure_action(job, *pod, how);
      if (action == "Ignore") continue;
      ++result.failed;
      result.last_failure = std::max(result.last_failure, end_of(*pod));
      if (action == "FailJob" && result.fatal.empty()) result.fatal = how;
    } else if (kube::is_being_deleted(*pod)) {
      ++result.terminating;
    } else {
      result.active.push_back(pod.get());
      if (pod_ready(*pod)) ++result.ready;
    }
  }
  // A failed pod that somebody deleted still happened.
  result.failed = std::max(result.failed, integer_at(job, "/status/failed", 0));
  result.succeeded = std::max(result.succeeded, integer_at(job, "/status/succeeded", 0));
  return result;
}

const json* finished_condition(const json& job) {
  for (const json& condition : value_at(job, "/status/conditions")) {
    const std::string type = text_at(condition, "/type");
    if ((type == "Complete" || type == "Failed") && text_at(condition, "/status") == "True")
      return &condition;
  }
  return nullptr;
}

std::optional<milliseconds> remaining(WallClock::time_point until, WallClock::time_point now) {
  return std::max(milliseconds(1), std::chrono::ceil<milliseconds>(until - now));
}

JobDecision decide_finished(const json& job, const json& condition, WallClock::time_point now) {
  JobDecision decision;
  decision.status = value_at(job, "/status");
  const seconds ttl = seconds_at(job, "/spec/ttlSecondsAfterFinished", -1);
  const auto finished = kube::parse_time(text_at(condition, "/lastTransitionTime"));
  if (ttl.count() < 0 || !finished) return decision;
  const auto until = *finished + ttl;
  decision.remove_job = now >= until;
  if (!decision.remove_job) decision.look_again = remaining(until, now);
  return decision;
}

struct Verdict {
  std::string type;  ///< "Complete", "Failed", or empty: goes on
  std::string reason;
  std::string message;
};

Verdict judge(const json& job, const Tally& tally, WallClock::time_point started, WallClock::time_point now) {
  const std::int64_t completions = integer_at(job, "/spec/completions", 1);
  if (!tally.fatal.empty()) return {"Failed", "PodFailurePolicy", tally.fatal};
  if (tally.succeeded >= completions)
    return {"Complete", "CompletionsReached", "Reached expected number of succeeded pods"};
  if (tally.failed > integer_at(job, "/spec/backoffLimit", 6)) {
    return {"Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"};
  }
  const seconds deadline = seconds_at(job, "/spec/activeDeadlineSeconds", -1);
  if (deadline.count() >= 0 && now >= started + deadline) {
    return {"Failed", "DeadlineExceeded", "Job was active longer than specified deadline"};
  }
  return {};
}

/// The next unused attempt names.
std::vector<std::string> next_names(const json& job, const std::vector<kube::ObjectPtr>& pods,
                                    std::int64_t count, const Tally& tally) {
  std::set<std::string> taken;
  for (const kube::ObjectPtr& pod : pods) taken.insert(kube::key_of(*pod).name);
  std::vector<std::string> names;
  for (std::int64_t number = tally.failed; static_cast<std::int64_t>(names.size()) < count; ++number) {
    std::string name = kube::key_of(job).name + "-" + std::to_string(number);
    if (!taken.contains(name)) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

JobDecision decide_job(const json& job, const std::vector<kube::ObjectPtr>& pods, WallClock::time_point now) {
  if (const json* condition = finished_condition(job)) return decide_finished(job, *condition, now);
  const Tally counted = tally(job, pods);
  const bool suspended = value_at(job, "/spec/suspend") == true;
  const auto started = kube::parse_time(text_at(job, "/status/startTime")).value_or(now);
  const Verdict verdict = suspended ? Verdict{} : judge(job, counted, started, now);

  JobDecision decision;
  std::int64_t active = static_cast<std::int64_t>(counted.active.size());
  if (!verdict.type.empty() || suspended) {
    for (const json* pod : counted.active) decision.remove.push_back(kube::key_of(*pod).name);
    active = 0;
  } else {
    const std::int64_t missing_successes = integer_at(job, "/spec/completions", 1) - counted.succeeded;
    const std::int64_t wanted = std::min(integer_at(job, "/spec/parallelism", 1), missing_successes);
    const int doublings = static_cast<int>(std::clamp<std::int64_t>(counted.failed - 1, 0, 6));
    const auto not_before = counted.last_failure + std::min(kLongestRetry, kFirstRetry * (1 << doublings));
    if (active < wanted && counted.terminating == 0) {
      if (counted.failed > 0 && now < not_before) {
        decision.look_again = remaining(not_before, now);
      } else {
        decision.create = next_names(job, pods, std::min(wanted - active, kMostNewPods), counted);
        active += static_cast<std::int64_t>(decision.create.size());
      }
    }
    if (const seconds deadline = seconds_at(job, "/spec/activeDeadlineSeconds", -1); deadline.count() >= 0) {
      const auto until = remaining(started + deadline, now);
      if (!decision.look_again || *until < *decision.look_again) decision.look_again = until;
    }
  }

  json status = value_at(job, "/status").is_object() ? value_at(job, "/status") : json::object();
  const auto set = [&status](const char* key, std::int64_t value) {
    if (value > 0) {
      status[key] = value;
    } else {
      status.erase(key);
    }
  };
  set("active", active);
  set("succeeded", counted.succeeded);
  set("failed", counted.failed);
  status["ready"] = verdict.type.empty() ? counted.ready : 0;
  status["terminating"] = counted.terminating;
  status["uncountedTerminatedPods"] = json::object();
  if (!suspended) status["startTime"] = kube::format_time(started);
  if (!verdict.type.empty()) {
    // Since 1.31 the cause comes as a condition of its own, before the end.
    const char* cause = verdict.type == "Complete" ? "SuccessCriteriaMet" : "FailureTarget";
    json& conditions = status["conditions"];
    conditions = with_condition(conditions, cause, true, verdict.reason, verdict.message, now);
    conditions = with_condition(conditions, verdict.type, true, verdict.reason, verdict.message, now);
    for (json& condition : conditions) condition["lastProbeTime"] = condition["lastTransitionTime"];
    if (verdict.type == "Complete") status["completionTime"] = kube::format_time(now);
    if (!decision.remove.empty() || counted.terminating > 0) {
      // The end is told only once its pods are gone, so that nothing still writes when somebody reads the
      // result.
      conditions.erase(std::prev(conditions.end()));
      status.erase("completionTime");
      set("active", static_cast<std::int64_t>(counted.active.size()));
    }
  }
  decision.status = std::move(status);
  return decision;
}

}  // namespace stepdown::local
