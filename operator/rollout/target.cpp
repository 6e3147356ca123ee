#include <algorithm>

#include "operator/rollout/children/records.h"
#include "operator/rollout/choose.h"
#include "operator/rollout/names.h"
#include "operator/rollout/pass.h"

namespace stepdown::rollout {
namespace {

using nlohmann::json;

const api::QuantRevision* promoted_revision(const Pass& pass) {
  const std::string& name = pass.model().spec.quantization.from_revision;
  return name.empty() ? nullptr : pass.observed.revision(name);
}

void judge(Pass& pass, const std::optional<api::ModelFacts>& base) {
  compat::Inventory inventory{
      .model = base, .profile = pass.observed.profile, .from_revision = {}, .nodes = pass.observed.nodes};
  if (const auto* revision = promoted_revision(pass)) inventory.from_revision = *revision;
  pass.found.rules = compat::judge(pass.model().spec, inventory);
}

/// The base that was read before, unless the spec names another source now.
std::optional<api::ModelFacts> known_base(const api::QuantizedModel& model) {
  const auto& facts = model.status.model;
  return facts && facts->inspect_job == names::inspect_job(model) ? facts : std::nullopt;
}

void keep_jobs(Pass& pass, const std::vector<std::string>& names) {
  for (const std::string& name : names) pass.wanted.insert({"Job", name});
}

void inspect_base(Pass& pass) {
  Inspection inspection = inspect(pass.observed, pass.settings, pass.now);
  keep_jobs(pass, inspection.jobs);
  move_to(pass.plan.create, inspection.create);
  pass.found.problem = inspection.problem;
  pass.found.base = inspection.model;
  // Facts that are new may show faults that the spec alone does not.
  if (inspection.model && inspection.model != pass.model().status.model) judge(pass, inspection.model);
}

void promote_revision(Pass& pass, const std::string& name) {
  pass.plan.status.baseline.reset();
  pass.plan.status.candidates.clear();
  const api::QuantRevision* revision = promoted_revision(pass);
  if (revision == nullptr) {
    pass.found.problem =
        StageProblem{"RevisionNotFound", "there is no QuantRevision " + name + " in this namespace"};
    return;
  }
  pass.found.target = {true, revision->spec.artifact.digest, name};
}

void choose_candidate(Pass& pass) {
  const api::QuantizedModel& model = pass.model();
  const api::ModelFacts& base = *pass.found.base;
  pass.found.trial = try_candidates(pass.observed, pass.settings, base, pass.now);
  Trial& trial = *pass.found.trial;
  keep_jobs(pass, trial.jobs);
  move_to(pass.plan.create, trial.create);
  pass.found.problem = trial.problem;
  if (trial.quantized && trial.evaluated) {
    if (!trial.best) {
      pass.found.target = {true, base.digest, "fp16"};
    } else {
      api::CandidateStatus& row = trial.candidates[*trial.best];
      row.state = model.status.is_blocked(row.digest) ? api::candidate_state::kBlocked
                                                      : api::candidate_state::kChosen;
      const auto specs = api::candidates_of(model.spec.quantization);
      const json revision = children::revision(model, base, specs[*trial.best], row);
      pass.made.push_back(api::parse_quant_revision(revision, api::UnknownFields::kRefuse));
      pass.found.target = {true, row.digest, pass.made.back().metadata.name};
      pass.plan.create.push_back(revision);
    }
  }
  pass.plan.status.baseline = trial.baseline;
  pass.plan.status.candidates = trial.candidates;
}

}  // namespace

void find_target(Pass& pass) {
  const api::QuantizedModelSpec& spec = pass.model().spec;
  judge(pass, known_base(pass.model()));
  if (pass.follows_spec()) inspect_base(pass);
  if (!pass.follows_spec()) {
    pass.found.base = pass.model().status.model;  // what served before goes on
    return;
  }
  if (!pass.found.base) return;
  pass.plan.status.model = pass.found.base;
  if (spec.serving.engine != "stepdown" && !pass.observed.profile) {
    pass.found.problem =
        StageProblem{"EngineProfileNotFound", "there is no EngineProfile " + spec.serving.engine};
  } else if (!spec.quantization.from_revision.empty()) {
    promote_revision(pass, spec.quantization.from_revision);
  } else {
    choose_candidate(pass);
  }
}

}  // namespace stepdown::rollout
