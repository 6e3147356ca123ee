#include "operator/rollout/status.h"

#include <algorithm>

#include "operator/rollout/freshness.h"
#include "operator/rollout/names.h"
#include "operator/rollout/summary.h"

namespace stepdown::rollout {
namespace {

namespace state = api::candidate_state;

/// Where a model stands: one row for `phase`, Ready, Reconciling, Stalled and the message.
struct Standing {
  std::string phase;
  std::string reason;
  std::string message;
  enum class Progress { kDone, kWorking, kStalled } progress = Progress::kWorking;
};
using Progress = Standing::Progress;

std::string first_error(const std::vector<compat::Finding>& rules) {
  for (const compat::Finding& each : rules) {
    if (each.severity == compat::Severity::kError) {
      return each.id + " " + each.path + ": " + each.message + "; " + each.mend;
    }
  }
  return "";
}

/// Every finding on a line of its own, the worst first, as far as a condition's message goes.
std::string all_findings(const std::vector<compat::Finding>& rules) {
  constexpr std::size_t kLongest = 8000;
  std::string out;
  for (const auto severity :
       {compat::Severity::kError, compat::Severity::kWarning, compat::Severity::kNote}) {
    for (const compat::Finding& each : rules) {
      if (each.severity != severity) continue;
      std::string line = each.id + " " + std::string(compat::severity_name(severity)) + " " + each.path +
                         ": " + each.message + "; " + each.mend;
      if (out.size() + line.size() > kLongest) return out + "\n… more in status.findings";
      out += (out.empty() ? "" : "\n") + line;
    }
  }
  return out;
}

std::size_t count(const Trial& trial, const char* wanted) {
  return static_cast<std::size_t>(
      std::ranges::count(trial.candidates, std::string(wanted), &api::CandidateStatus::state));
}

std::string trial_progress(const Trial& trial) {
  const std::string total = std::to_string(trial.candidates.size());
  if (!trial.quantized) {
    return "quantizes " + std::to_string(count(trial, state::kQuantizing)) + " of " + total + " candidates";
  }
  if (trial.baseline && trial.baseline->state == state::kEvaluating) return "evaluates FP16";
  for (const api::CandidateStatus& row : trial.candidates) {
    if (row.state == state::kEvaluating) return "evaluates " + row.name + " against FP16";
  }
  return "evaluates candidates";
}

std::string why_none_passed(const Trial& trial) {
  std::string text = "no candidate met every SLO, FP16 serves";
  for (const api::CandidateStatus& row : trial.candidates) text += "; " + row.name + ": " + row.message;
  if (!trial.ladder_end.empty()) text += "; nothing else is tried: " + trial.ladder_end;
  return text;
}

Standing rolled_back(const api::QuantizedModelStatus& status, const std::string& target) {
  std::string reason = "it tripped before";
  for (const api::Blocked& each : status.blocked) {
    if (each.digest == target) reason = each.reason;
  }
  std::string message = names::digest12(target) + " was rolled back (" + reason + ")";
  if (status.last_rollback && status.last_rollback->digest == target)
    message += ": " + status.last_rollback->message;
  return {"RolledBack", "RolledBack", message + "; give another revision, or retry", Progress::kStalled};
}

/// A stage whose Jobs work, or do not: then what one of them waits for.
Standing working(const Observed& observed, const char* phase, const std::string& message) {
  const Job* stuck = nullptr;
  bool any_works = false;
  for (const Job& job : observed.jobs) {
    if (job.state != JobState::kRunning) continue;
    any_works = any_works || job.waiting.empty() || job.may_start;
    if (!job.waiting.empty() && (stuck == nullptr || stuck->may_start)) stuck = &job;
  }
  if (stuck == nullptr) return {phase, phase, message, Progress::kWorking};
  const char* reason = stuck->may_start ? "JobWaits" : "JobCannotStart";
  return {phase, reason, wait_message(*stuck), any_works ? Progress::kWorking : Progress::kStalled};
}

Standing course(const api::QuantizedModelStatus& status, const Observed& observed, const Findings& found) {
  const std::string stale = stale_message(status.evaluation);
  const std::string why = stale.empty() ? "" : stale + "; ";
  const std::string weight = status.rollout ? std::to_string(status.rollout->weight) + "%" : "";
  if (observed.model.spec.suspend) {
    return {"Suspended", "Suspended", "spec.suspend is set: what serves keeps serving", Progress::kDone};
  }
  if (compat::has_errors(found.rules))
    return {"Invalid", "Incompatible", first_error(found.rules), Progress::kStalled};
  if (const Obstacle* obstacle = observed.lasting_obstacle())
    return {"Failed", obstacle->reason, obstacle->message, Progress::kStalled};
  if (found.problem) return {"Failed", found.problem->reason, found.problem->message, Progress::kStalled};
  if (!found.fetching.empty()) return working(observed, "Fetching", found.fetching);
  if (!found.base) return working(observed, "Inspecting", "reads the model's files");
  if (found.trial && !found.trial->quantized)
    return working(observed, "Quantizing", why + trial_progress(*found.trial));
  if (found.trial && !found.trial->evaluated)
    return working(observed, "Evaluating", why + trial_progress(*found.trial));
  if (found.unverified) return working(observed, "Inspecting", found.waits_for);
  switch (found.position) {
    case Position::kServingFp16:
      if (!found.waits_for.empty())
        return {"ServingFP16", "ReturningToFP16", found.waits_for, Progress::kWorking};
      return {"ServingFP16", "NoCandidatePassed", found.trial ? why_none_passed(*found.trial) : "FP16 serves",
              Progress::kStalled};
    case Position::kWaiting:
      return {"Starting", "Starting", found.waits_for, Progress::kWorking};
    case Position::kStepping:
      return {"Canary", "Canary",
              "step " + std::to_string(status.rollout->step + 1) + "/" +
                  std::to_string(observed.model.spec.rollout.steps.size()) + " at " + weight +
                  (found.waits_for.empty() ? "" : ": " + found.waits_for),
              Progress::kWorking};
    case Position::kBlocked:
      return rolled_back(status, found.target.digest);
    case Position::kPromoted:
      if (!found.all_ready)
        return {"Promoted", "EnginesUpdating", "promoted; engines are being updated", Progress::kWorking};
      return {"Promoted", "Promoted", found.subject_method + " is stable", Progress::kDone};
    case Position::kUndecided:
      break;
  }
  return {"Pending", "Pending", found.waits_for, Progress::kWorking};
}

/// Everything else goes on while something is tried again.
Standing stand(const api::QuantizedModelStatus& status, const Observed& observed, const Findings& found) {
  Standing standing = course(status, observed, found);
  if (observed.obstacles.empty() || standing.progress == Progress::kStalled) return standing;
  standing.reason = observed.obstacles.front().reason;
  standing.message = observed.obstacles.front().message;
  standing.progress = Progress::kWorking;
  return standing;
}

class Conditions {
 public:
  Conditions(api::QuantizedModelStatus& status, std::int64_t generation, api::Time now)
      : status_(status), generation_(generation), now_(api::format_time(now)) {}

  void set(std::string_view type, const char* value, const std::string& reason, const std::string& message) {
    api::set_condition(status_.conditions, {std::string(type), value, reason, message, "", generation_},
                       now_);
  }
  void set(std::string_view type, bool value, const std::string& reason, const std::string& message) {
    set(type, value ? "True" : "False", reason, message);
  }

 private:
  api::QuantizedModelStatus& status_;
  std::int64_t generation_;
  std::string now_;
};

void set_stage_conditions(Conditions& conditions, const Findings& found, const Observed& observed,
                          const Standing& standing) {
  namespace type = api::condition;
  if (compat::has_errors(found.rules)) {
    conditions.set(type::kCompatible, false, "Incompatible", all_findings(found.rules));
  } else if (!found.base) {
    const std::string findings = all_findings(found.rules);
    conditions.set(type::kCompatible, "Unknown", "Inspecting",
                   "the model's files are not read yet" + (findings.empty() ? "" : "\n" + findings));
  } else {
    const bool warns =
        std::ranges::count(found.rules, compat::Severity::kWarning, &compat::Finding::severity) > 0;
    conditions.set(type::kCompatible, true, warns ? "Warnings" : "Compatible", all_findings(found.rules));
  }
  if (!observed.model.spec.quantization.from_revision.empty()) {
    conditions.set(type::kQuantized, true, "FromRevision", "the artifact comes from a QuantRevision");
    conditions.set(type::kEvaluated, true, "FromRevision", "the scores are the QuantRevision's");
    return;
  }
  if (!found.trial) {
    conditions.set(type::kQuantized, "Unknown", "Pending", "");
    conditions.set(type::kEvaluated, "Unknown", "Pending", "");
    return;
  }
  const Trial& trial = *found.trial;
  const bool any = std::ranges::any_of(trial.candidates, [](const auto& row) { return !row.digest.empty(); });
  conditions.set(type::kQuantized, trial.quantized && any,
                 !trial.quantized ? "Quantizing"
                 : any            ? "Quantized"
                                  : "QuantizeFailed",
                 !trial.quantized ? standing.message
                 : any            ? ""
                                  : trial.candidates.front().message);
  if (observed.model.spec.evaluation.dataset.empty()) {
    conditions.set(type::kEvaluated, "Unknown", "NoDataset", "spec.evaluation.dataset is not given");
  } else {
    conditions.set(type::kEvaluated, trial.evaluated,
                   trial.evaluated                  ? "Evaluated"
                   : found.problem                  ? found.problem->reason
                   : trial.evaluation.stale.empty() ? "Evaluating"
                                                    : "Stale",
                   trial.evaluated ? "" : standing.message);
  }
}

void set_conditions(api::QuantizedModelStatus& status, const Observed& observed, const Findings& found,
                    const Standing& standing, api::Time now) {
  namespace type = api::condition;
  Conditions conditions(status, observed.model.metadata.generation, now);
  const bool ready = standing.progress == Progress::kDone && !observed.model.spec.suspend;
  conditions.set(type::kReady, ready, standing.reason, standing.message);
  conditions.set(type::kReconciling, standing.progress == Progress::kWorking, standing.reason,
                 standing.message);
  conditions.set(type::kStalled, standing.progress == Progress::kStalled, standing.reason, standing.message);
  if (observed.model.spec.suspend) return;
  const bool reachable = std::ranges::any_of(observed.children, [&](const Child& child) {
    return child.kind == "Service" && child.name == observed.model.metadata.name;
  });
  const bool available = reachable && found.gateway_serves && (found.fp16_serves || found.stable_serves);
  conditions.set(type::kAvailable, available, available ? "Serving" : "NoEndpoints",
                 available               ? ""
                 : !found.gateway_serves ? "the gateway is not available"
                 : !reachable            ? "there is no Service " + observed.model.metadata.name
                                         : "no engine is available");
  set_stage_conditions(conditions, found, observed, standing);
  conditions.set(type::kPromoted, found.position == Position::kPromoted, standing.reason, standing.message);
}

bool fails(const api::QuantizedModelStatus& status) {
  const api::Condition* reconciling = api::find_condition(status.conditions, api::condition::kReconciling);
  return reconciling != nullptr && reconciling->reason == kChildFailed;
}

std::string stalled_reason(const api::QuantizedModelStatus& status) {
  const api::Condition* stalled = api::find_condition(status.conditions, api::condition::kStalled);
  return stalled != nullptr && stalled->status == "True" ? stalled->reason : "";
}

}  // namespace

void describe(api::QuantizedModelStatus& status, const Observed& observed, const Findings& found,
              api::Time now) {
  status.observed_generation = observed.model.metadata.generation;
  status.findings.clear();
  for (const compat::Finding& each : found.rules) {
    status.findings.push_back(
        {each.id, std::string(compat::severity_name(each.severity)), each.path, each.message, each.mend});
  }
  if (status.rollout && found.base) {
    status.traffic = traffic(*status.rollout, found.base->digest, observed.model.metadata.name);
  }
  const Standing standing = stand(status, observed, found);
  status.phase = standing.phase;
  status.summary = summarize(status, observed.model.spec, found);
  status.summary.message = standing.message;
  set_conditions(status, observed, found, standing, now);
}

std::vector<Event> events(const api::QuantizedModelStatus& before, const api::QuantizedModelStatus& after) {
  std::vector<Event> out;
  const auto at = [](const api::QuantizedModelStatus& status) {
    return status.last_rollback ? status.last_rollback->at + status.last_rollback->digest : "";
  };
  if (at(before) != at(after)) {
    const api::Rollback& rollback = *after.last_rollback;
    out.push_back({true, "Rollback", "RolledBack",
                   names::digest12(rollback.digest) + " at " + std::to_string(rollback.weight) +
                       "%: " + rollback.reason + ", " + rollback.message});
  }
  if (after.command && (!before.command || before.command->id != after.command->id)) {
    const bool refused = after.command->result == "Refused";
    out.push_back({refused, "Command", refused ? "CommandRefused" : "CommandDone",
                   after.command->verb + (refused ? ": " + after.command->message : "")});
  }
  if (const std::string stale = stale_message(after.evaluation);
      !stale.empty() && stale != stale_message(before.evaluation)) {
    out.push_back({true, "Evaluate", "EvaluationStale",
                   stale + ": nothing is promoted until it is measured again, which begins now"});
  }
  const std::int64_t weight_before = before.rollout ? before.rollout->weight : 0;
  const std::int64_t weight_after = after.rollout ? after.rollout->weight : 0;
  if (fails(after)) {  // one Event, however far the rest comes meanwhile
    if (!fails(before)) out.push_back({true, "Reconcile", kChildFailed, after.summary.message});
  } else if (before.phase != after.phase) {
    const bool bad = after.phase == "Invalid" || after.phase == "Failed" || after.phase == "ServingFP16";
    if (after.phase != "RolledBack") out.push_back({bad, "Reconcile", after.phase, after.summary.message});
  } else if (const std::string stalled = stalled_reason(after);
             !stalled.empty() && stalled != stalled_reason(before) && after.phase != "RolledBack") {
    out.push_back({true, "Reconcile", stalled, after.summary.message});
  } else if (weight_after > weight_before) {
    out.push_back({false, "Step", "CanaryStep", after.summary.message});
  }
  return out;
}

}  // namespace stepdown::rollout
