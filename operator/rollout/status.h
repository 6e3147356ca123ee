#pragma once

#include <string>
#include <vector>

#include "operator/compat/rules.h"
#include "operator/rollout/observed.h"
#include "operator/rollout/plan.h"
#include "operator/rollout/stages.h"
#include "operator/rollout/steps.h"

/// What people and tools read: phase, conditions, summary, traffic, Events. Pure.
namespace stepdown::rollout {

/// All that a pass over one model found out; each part absent where the pass did not come so far.
struct Findings {
  std::vector<compat::Finding> rules;
  std::optional<StageProblem> problem;
  std::string fetching;  ///< what is waited for while sources are fetched; empty: all are there
  std::optional<api::ModelFacts> base;
  std::string unchecked;       ///< what a promotion waits for
  bool unverified = false;     ///< fromRevision: nothing of it may be served yet
  std::optional<Trial> trial;  ///< absent with fromRevision
  Target target;
  Position position = Position::kUndecided;
  std::string waits_for;
  bool fp16_serves = false;
  bool stable_serves = false;  ///< some of its pods are available
  bool gateway_serves = false;
  bool all_ready = false;      ///< every engine and the gateway, at their present generation
  std::string subject_method;  ///< of the revision rolled out or stable; "fp16" for FP16
  std::optional<api::Metrics> subject_scores;
  std::optional<std::int64_t> subject_size;
};

/// Fills phase, conditions, findings, summary, traffic, observedGeneration; `status` holds the rest already.
void describe(api::QuantizedModelStatus& status, const Observed& observed, const Findings& found,
              api::Time now);

/// What changed from `before` to `after`, told once.
std::vector<Event> events(const api::QuantizedModelStatus& before, const api::QuantizedModelStatus& after);

}  // namespace stepdown::rollout
