#include <algorithm>

#include "operator/compat/fallback.h"
#include "operator/rollout/children/common.h"
#include "operator/rollout/children/gateway.h"
#include "operator/rollout/command.h"
#include "operator/rollout/engines.h"
#include "operator/rollout/freshness.h"
#include "operator/rollout/names.h"
#include "operator/rollout/pass.h"
#include "operator/rollout/residency.h"

namespace stepdown::rollout {
namespace {

/// The base that traffic can fall back to: the inspected one, or while the spec is invalid or a new source
/// is not read yet, the one before.
std::optional<api::ModelFacts> serving_base(const Pass& pass) {
  return pass.found.base ? pass.found.base : pass.model().status.model;
}

StepInput step_input(const Pass& pass, const std::string& base, bool from_spec) {
  const api::QuantizedModel& model = pass.model();
  return {.spec = model.spec.rollout,
          .status = model.status,
          .uid = model.metadata.uid,
          .base = base,
          .base_before = model.status.model ? model.status.model->digest : "",
          .target = from_spec ? pass.found.target : Target{},
          .unchecked = pass.found.unchecked,
          .stale = stale_message(pass.plan.status.evaluation),
          .command = pending_command(model),
          .failures_gone = failures(pass.observed).empty(),
          .now = pass.now};
}

std::string revision_name(const Pass& pass, const std::string& digest, const std::string& base) {
  if (digest == base) return "fp16";
  if (pass.found.target.digest == digest) return pass.found.target.revision;
  const api::QuantRevision* found = pass.observed.revision_of(digest);
  return found != nullptr ? found->metadata.name : names::revision(pass.model().metadata.name, digest);
}

void set_routes(api::RolloutStatus& rollout, const Engines& engines, const std::string& base) {
  rollout.routes = {{base, engines.name(base), api::role::kFp16}};
  if (rollout.stable != base) {
    rollout.routes.push_back({rollout.stable, engines.name(rollout.stable), api::role::kStable});
  }
  if (!rollout.digest.empty()) {
    rollout.routes.push_back({rollout.digest, engines.name(rollout.digest), api::role::kCandidate});
  }
}

/// Writes what the state machine decided into the plan's status.
void take(Pass& pass, StepOutcome& outcome, const Engines& engines, const std::string& base) {
  api::QuantizedModelStatus& status = pass.plan.status;
  pass.found.position = outcome.position;
  if (!pass.found.unverified) pass.found.waits_for = outcome.message;
  set_routes(outcome.rollout, engines, base);
  if (outcome.rollback) {
    outcome.rollback->revision = revision_name(pass, outcome.rollback->digest, base);
    status.last_rollback = outcome.rollback;
  }
  if (outcome.command) status.command = outcome.command;
  status.blocked = std::move(outcome.blocked);
  status.paused = outcome.paused;
  status.stable_revision = revision_name(pass, outcome.rollout.stable, base);
  if (pass.found.target.decided) status.current_revision = pass.found.target.revision;
  status.rollout = std::move(outcome.rollout);
  for (api::CandidateStatus& row : status.candidates) {
    if (row.state == api::candidate_state::kChosen && status.is_blocked(row.digest)) {
      row.state = api::candidate_state::kBlocked;
    }
  }
}

bool available(const Pass& pass, const std::string& name) {
  const Deployment* deployment = pass.observed.deployment(name);
  return deployment != nullptr && deployment->available > 0;
}

/// Of several stable pods one has none of its room: a candidate's must not take it. A stable that serves
/// nothing has no claim on it; its successor may be what mends it.
bool stable_lacks_room(const Pass& pass, const Engines& engines, const std::string& base,
                       const std::string& stable) {
  return !stable.empty() && stable != base && available(pass, engines.name(stable)) &&
         !engines.ready(stable, pass.model().spec.serving.replicas);
}

/// A candidate's pods are made once those that serve have their room: both would ask for the last of it.
bool may_have_pods(const Pass& pass, const Engines& engines, const std::string& base) {
  const api::RolloutStatus& rollout = *pass.plan.status.rollout;
  return pass.observed.deployment(engines.name(rollout.digest)) != nullptr ||
         (engines.ready(base, pass.model().spec.serving.replicas) &&
          !stable_lacks_room(pass, engines, base, rollout.stable));
}

void want_engines(Pass& pass, const Engines& engines, const std::string& base) {
  const api::RolloutStatus& rollout = *pass.plan.status.rollout;
  const std::int64_t full = pass.model().spec.serving.replicas;
  const std::string target = pass.found.target.decided ? pass.found.target.digest : "";
  const auto want = [&](const std::string& digest, std::int64_t replicas) {
    const std::string name = engines.name(digest);
    pass.wanted.insert({engines.kind(digest), name});
    pass.wanted.insert({"Service", name});
    auto objects = engines.objects(digest, replicas);
    move_to(pass.plan.apply, objects);
  };
  const Demand demanded = demand(pass.model(), pass.now);
  if (demanded.look_again) pass.look_again(*demanded.look_again);
  want(base, engines.fp16_replicas(rollout, target, demanded.fp16));
  if (rollout.stable != base) want(rollout.stable, full);
  if (!rollout.digest.empty() && may_have_pods(pass, engines, base)) want(rollout.digest, full);
  const std::string& name = pass.model().metadata.name;
  pass.plan.apply.push_back(children::disruption_budget(pass.model(), names::engines(name), "engine"));
  auto gateway = children::gateway(pass.model(), pass.settings);
  move_to(pass.plan.apply, gateway);
}

void describe_serving(Pass& pass, const Engines& engines, const std::string& base) {
  const api::QuantizedModel& model = pass.model();
  const api::RolloutStatus& rollout = *pass.plan.status.rollout;
  const std::string stable_before = model.status.rollout ? model.status.rollout->stable : "";
  const std::string gateway = names::gateway(model.metadata.name);
  Findings& found = pass.found;
  found.fp16_serves = available(pass, engines.name(base));
  found.stable_serves = available(pass, engines.name(rollout.stable));
  found.gateway_serves = available(pass, gateway);
  const Deployment* gateway_deployment = pass.observed.deployment(gateway);
  const std::int64_t fp16 = engines.fp16_replicas(rollout, found.target.digest, demand(model, pass.now).fp16);
  found.all_ready = gateway_deployment != nullptr && gateway_deployment->settled &&
                    engines.ready(base, fp16) &&
                    (rollout.stable == base || engines.ready(rollout.stable, model.spec.serving.replicas)) &&
                    stable_before == rollout.stable;
}

}  // namespace

void move_traffic(Pass& pass) {
  const auto base = serving_base(pass);
  const bool from_spec = pass.found.base.has_value() && pass.follows_spec();
  const bool may_serve = from_spec && !pass.found.unverified;
  if (!base || (!may_serve && !pass.model().status.rollout)) {
    StepOutcome outcome = advance(step_input(pass, "", false));
    if (outcome.command) pass.plan.status.command = outcome.command;
    pass.plan.status.paused = outcome.paused;
    return;
  }
  const Engines engines(pass.observed, pass.settings, *base, pass.made);
  StepInput input = step_input(pass, base->digest, from_spec);
  if (from_spec) {
    const std::int64_t full = pass.model().spec.serving.replicas;
    const std::string& target = input.target.digest;
    input.fp16_ready = engines.ready(base->digest, full);
    if (const auto& rollout = pass.model().status.rollout) {
      input.stable_lacks_room = stable_lacks_room(pass, engines, base->digest, rollout->stable);
    }
    input.fp16_serves =
        !compat::fp16_on_demand(pass.model().spec) || available(pass, engines.name(base->digest));
    if (input.target.decided && target != base->digest) {
      input.candidate_ready = engines.ready(target, full);
      input.candidate_failed = !input.candidate_ready && engines.failed(target);
    }
  }
  StepOutcome outcome = advance(input);
  if (outcome.look_again) pass.look_again(*outcome.look_again);
  take(pass, outcome, engines, base->digest);
  if (from_spec) {
    want_engines(pass, engines, base->digest);
  } else {
    pass.keep_all();
  }
  describe_serving(pass, engines, base->digest);
}

}  // namespace stepdown::rollout
