#include <chrono>

#include "operator/api/time.h"
#include "operator/compat/fallback.h"
#include "operator/compat/memory_fit.h"
#include "operator/compat/rule.h"

// How traffic moves, and the way back.
namespace stepdown::compat {
namespace {

void no_fallback(const Subject& subject, Report& report) {
  if (subject.spec.rollout.fallback.replicas <= 0 && !fp16_on_demand(subject.spec))
    report.add("spec.rollout.fallback.replicas", "there is no FP16 fallback");
}

void not_on_cpus(const Subject& subject, Report& report) {
  if (!fp16_on_cpus(subject.spec) || subject.architecture().empty()) return;
  const EngineSupport bundled("stepdown", std::nullopt);
  const Answer answer = bundled.runs({"", "", "", subject.architecture()});
  if (answer.verdict != Verdict::kRefused && answer.verdict != Verdict::kUndocumented) return;
  report.add("spec.rollout.fallback.placement",
             "the bundled engine does not run " + std::string(subject.architecture()) + " on CPUs");
}

void slow_fallback(const Subject& subject, Report& report) {
  const auto& hardware = subject.spec.serving.hardware;
  if (!fp16_on_cpus(subject.spec) || !hardware || hardware->accelerator.empty()) return;
  report.add("spec.rollout.fallback.placement",
             "until promotion FP16 answers most requests, from CPUs instead of " + hardware->accelerator);
}

void cold_fallback(const Subject& subject, Report& report) {
  if (!fp16_on_demand(subject.spec)) return;
  const auto& model = subject.inventory.model;
  report.add("spec.rollout.fallback.residency",
             "after promotion answers that fail are not repeated until FP16" +
                 (model ? " (" + readable_bytes(model->size) + ")" : std::string()) + " is loaded");
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
     "Without an FP16 engine a rollback is an outage, and failed answers cannot be repeated.",
     "rollout: {fallback: {replicas: 0}}",
     "keep at least one FP16 replica, or let it be loaded when it is needed (residency: onDemand)",
     no_fallback},
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
    {"SD070", Severity::kError, "FP16 on CPUs that cannot run there",
     "On CPUs the bundled engine serves FP16, whatever engine serves the quantized revisions.",
     "rollout: {fallback: {placement: cpu}}  # of an architecture that only vLLM runs",
     "keep FP16 on accelerators (placement sameGPU or otherGPU)", not_on_cpus},
    {"SD071", Severity::kWarning, "FP16 on CPUs carries the load until promotion",
     "It saves an accelerator; answers take as long as CPUs take, and overload is 429.",
     "serving: {hardware: {accelerator: nvidia.com/gpu}}\nrollout: {fallback: {placement: cpu}}",
     "begin at a higher weight, or give serving.replicas that carry the load", slow_fallback},
    {"SD072", Severity::kWarning, "A cold FP16",
     "It saves FP16's memory after promotion. The first answers that fail then are errors to their clients, "
     "and "
     "a rollback takes as long as loading does.",
     "rollout: {fallback: {residency: onDemand}}",
     "keep it warm where clients must never see a failed answer", cold_fallback},
    {"SD058", Severity::kWarning, "A rollback that hardly comes, or comes by chance",
     "The limits decide what users see.", "rollout: {rollback: {maxErrorRate: 0.5}}", "0.02 is usual",
     lax_rollback},
};

}  // namespace

std::span<const Rule> rollout_rules() {
  return kRules;
}

}  // namespace stepdown::compat
