#include <chrono>

#include "operator/api/time.h"
#include "operator/compat/rule.h"

// How traffic moves, and the way back.
namespace stepdown::compat {
namespace {

void no_fallback(const Subject& subject, Report& report) {
  if (subject.spec.rollout.fallback.replicas <= 0)
    report.add("spec.rollout.fallback.replicas", "there is no FP16 fallback");
}

/// Fields whose other values this version does not carry out; refused rather than ignored.
void unsupported(const Subject& subject, Report& report) {
  const api::FallbackSpec& fallback = subject.spec.rollout.fallback;
  if (fallback.placement != "sameGPU") {
    report.add("spec.rollout.fallback.placement", "this version places FP16 as any other engine",
               "use sameGPU");
  }
  if (fallback.residency != "warm") {
    report.add("spec.rollout.fallback.residency", "this version keeps FP16 warm", "use warm");
  }
}

void steps(const Subject& subject, Report& report) {
  std::int64_t before = 0;
  for (std::size_t i = 0; i < subject.spec.rollout.steps.size(); ++i) {
    const api::Step& step = subject.spec.rollout.steps[i];
    const std::string path = element("spec.rollout.steps", i);
    if (!api::parse_duration(step.hold)) {
      report.add(path + ".hold", "malformed duration " + step.hold, "such as 60s or 1h30m");
    }
    if (step.weight <= before || step.weight > 100) {
      report.add(path + ".weight", "weights must rise from step to step, at most to 100",
                 "give a weight above " + std::to_string(before));
    }
    before = step.weight;
  }
}

void no_canary(const Subject& subject, Report& report) {
  const auto& all = subject.spec.rollout.steps;
  if (all.empty()) return;
  if (all.front().weight >= 50) {
    report.add(
        "spec.rollout.steps[0].weight",
        "the first step gives the candidate " + std::to_string(all.front().weight) + " % of traffic at once");
  }
  bool held = false;
  for (const api::Step& step : all) {
    const auto hold = api::parse_duration(step.hold);
    held = held || step.approval || !hold || *hold > std::chrono::seconds(0);
  }
  if (!held)
    report.add("spec.rollout.steps", "no step is held: the canary is over before it has seen an answer",
               "give holds such as 60s");
}

void never_full(const Subject& subject, Report& report) {
  const auto& all = subject.spec.rollout.steps;
  if (!all.empty() && all.back().weight < 100 && all.back().weight > 0) {
    report.add(element("spec.rollout.steps", all.size() - 1) + ".weight",
               "after " + std::to_string(all.back().weight) +
                   " % the candidate is promoted to all traffic, which it never carried");
  }
}

void lax_rollback(const Subject& subject, Report& report) {
  const api::RollbackSpec& rollback = subject.spec.rollout.rollback;
  if (rollback.max_error_rate > 0.2) {
    report.add("spec.rollout.rollback.maxErrorRate", "a fifth of answers may fail before it rolls back");
  }
  if (rollback.alpha > 0.1) {
    report.add("spec.rollout.rollback.alpha", "more than one rollout in ten would be rolled back by chance",
               "0.01 is usual");
  }
}

constexpr Rule kRules[] = {
    {"SD004", Severity::kError, "No FP16 to roll back to",
     "Without a warm FP16 engine a rollback is an outage, and failed answers cannot be repeated.",
     "rollout: {fallback: {replicas: 0}}", "keep at least one FP16 replica", no_fallback},
    {"SD010", Severity::kError, "A value that this version does not carry out",
     "It is refused rather than ignored.", "rollout: {fallback: {residency: onDemand}}",
     "use the value that is carried out", unsupported},
    {"SD013", Severity::kError, "Steps that do not rise",
     "The CRD refuses them as well; offline nothing else does.",
     "rollout: {steps: [{weight: 25}, {weight: 5}]}", "give rising weights, at most 100", steps},
    {"SD056", Severity::kWarning, "A rollout without a canary",
     "A canary sees the faults that evaluation missed, at a share that users hardly notice.",
     "rollout: {steps: [{weight: 100}]}", "begin with a few percent, held for a minute or more", no_canary},
    {"SD057", Severity::kNote, "The last step is not the whole traffic",
     "Load at 100 % is another thing than at a quarter.",
     "rollout: {steps: [{weight: 5, hold: 60s}, {weight: 25, hold: 60s}]}",
     "end with {weight: 100, hold: 60s}", never_full},
    {"SD058", Severity::kWarning, "A rollback that hardly comes, or comes by chance",
     "The limits decide what users see.", "rollout: {rollback: {maxErrorRate: 0.5}}", "0.02 is usual",
     lax_rollback},
};

}  // namespace

std::span<const Rule> rollout_rules() {
  return kRules;
}

}  // namespace stepdown::compat
