#include <algorithm>

#include "operator/rollout/children/common.h"
#include "operator/rollout/children/records.h"
#include "operator/rollout/choose.h"
#include "operator/rollout/fetching.h"
#include "operator/rollout/freshness.h"
#include "operator/rollout/names.h"
#include "operator/rollout/pass.h"

namespace stepdown::rollout {
namespace {

using nlohmann::json;

const api::QuantRevision* promoted_revision(const Pass& pass) {
  const std::string& name = pass.model().spec.quantization.from_revision;
  return name.empty() ? nullptr : pass.observed.revision(name);
}

void judge(Pass& pass, const std::optional<api::ModelFacts>& base,
           const std::optional<api::ModelFacts>& artifact = std::nullopt) {
  compat::Inventory inventory{.model = base,
                              .profile = pass.observed.profile,
                              .from_revision = {},
                              .nodes = pass.observed.nodes,
                              .artifact = artifact,
                              .bundled_version = image_version(pass.settings.engine_image)};
  if (const auto* revision = promoted_revision(pass)) {
    inventory.from_revision = *revision;
    if (!artifact) inventory.artifact = known_artifact(pass.model(), revision->spec.artifact);
  }
  pass.found.rules = compat::judge(pass.model().spec, inventory);
}

void keep_jobs(Pass& pass, const std::vector<std::string>& names) {
  for (const std::string& name : names) pass.wanted.insert({"Job", name});
}

/// True once what FP16 is made of is there.
bool fetch_remote(Pass& pass) {
  Fetching fetching = fetch_sources(pass.observed, pass.settings, pass.now);
  keep_jobs(pass, fetching.jobs);
  move_to(pass.plan.create, fetching.create);
  pass.plan.status.sources = std::move(fetching.sources);
  pass.found.problem = fetching.problem;
  if (!fetching.all_there)
    pass.found.fetching = fetching.message.empty() ? "every source is there" : fetching.message;
  return fetching.base_there;
}

void inspect_base(Pass& pass) {
  Inspection inspection =
      inspect(pass.observed, pass.settings, /*all_there=*/pass.found.fetching.empty(), pass.now);
  keep_jobs(pass, inspection.jobs);
  move_to(pass.plan.create, inspection.create);
  if (inspection.problem) pass.found.problem = inspection.problem;
  pass.found.base = inspection.model;
  pass.found.unchecked = inspection.unchecked;
  if (inspection.look_again) pass.look_again(*inspection.look_again);
  // Facts that are new may show faults that the spec alone does not.
  if (inspection.model && inspection.model != pass.model().status.model) judge(pass, inspection.model);
}

/// Nothing of the revision is served before its files were read here and found to be what its record says.
void promote_revision(Pass& pass, const std::string& name) {
  pass.plan.status.baseline.reset();
  pass.plan.status.candidates.clear();
  pass.plan.status.evaluation.reset();
  pass.found.unverified = true;
  const api::QuantRevision* revision = promoted_revision(pass);
  if (revision == nullptr) {
    pass.found.problem =
        StageProblem{"RevisionNotFound", "there is no QuantRevision " + name + " in this namespace"};
    return;
  }
  Inspection artifact = verify(pass.observed, pass.settings, revision->spec.artifact, pass.now);
  keep_jobs(pass, artifact.jobs);
  move_to(pass.plan.create, artifact.create);
  if (artifact.problem) pass.found.problem = artifact.problem;
  if (!artifact.model) {
    pass.found.waits_for = artifact.unchecked;
    return;
  }
  pass.plan.status.artifact = artifact.model;
  judge(pass, pass.found.base, artifact.model);
  if (!pass.follows_spec()) return;
  pass.found.unverified = false;
  pass.found.target = {true, revision->spec.artifact.digest, name};
}

/// A record never changes: what was measured anew under other conditions gets a record of its own.
std::string record_name(const Observed& observed, const std::string& digest, const std::string& identity) {
  const std::string plain = names::revision(observed.model.metadata.name, digest);
  const api::QuantRevision* before = observed.revision(plain);
  const std::string then =
      before != nullptr && before->spec.evaluation ? before->spec.evaluation->identity : "";
  constexpr std::size_t kPrefix = std::string_view("sha256:").size();
  return then.empty() || then == identity ? plain : plain + "-" + identity.substr(kPrefix, 8);
}

void choose_candidate(Pass& pass) {
  const api::QuantizedModel& model = pass.model();
  const api::ModelFacts& base = *pass.found.base;
  pass.found.trial = try_candidates(pass.observed, pass.settings, base, pass.now);
  Trial& trial = *pass.found.trial;
  keep_jobs(pass, trial.jobs);
  if (!model.spec.evaluation.dataset.empty()) pass.plan.status.evaluation = trial.evaluation;
  if (!trial.dataset_digest.empty()) {
    pass.plan.status.model->dataset = model.spec.evaluation.dataset;
    pass.plan.status.model->dataset_digest = trial.dataset_digest;
  }
  move_to(pass.plan.create, trial.create);
  if (trial.problem) pass.found.problem = trial.problem;
  if (trial.quantized && trial.evaluated) {
    if (!trial.best) {
      pass.found.target = {true, base.digest, "fp16"};
    } else {
      api::CandidateStatus& row = trial.candidates[*trial.best];
      row.state = model.status.is_blocked(row.digest) ? api::candidate_state::kBlocked
                                                      : api::candidate_state::kChosen;
      const std::string of = identity(trial.evaluation.inputs);
      const json revision =
          children::revision(model, base, trial.specs[*trial.best], row,
                             {.name = record_name(pass.observed, row.digest, of),
                              .identity = of,
                              .inputs = trial.evaluation.inputs,
                              .engine_version = engine_version(pass.observed, pass.settings)});
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
  if (pass.follows_spec() && fetch_remote(pass)) inspect_base(pass);
  if (!pass.follows_spec()) {
    pass.found.base = pass.model().status.model;  // what served before goes on
    return;
  }
  if (!pass.found.base) return;
  pass.plan.status.model = pass.found.base;
  if (!pass.found.fetching.empty()) {
    pass.found.unverified = !spec.quantization.from_revision.empty();
    return;
  }
  if (spec.serving.engine != "stepdown" && !pass.observed.profile) {
    pass.found.problem =
        StageProblem{"EngineProfileNotFound", "there is no EngineProfile " + spec.serving.engine};
  } else if (children::nodes(spec.serving) > 1 && !pass.settings.leader_worker_sets) {
    pass.found.problem = StageProblem{
        "LeaderWorkerSetsOff",
        "spec.serving.hardware.nodes: a replica of several nodes is a LeaderWorkerSet; install it "
        "(lws.sigs.k8s.io) and start the operator with --leader-worker-sets (chart: "
        "leaderWorkerSets.enabled)"};
    pass.found.unverified = true;
  } else if (!spec.quantization.from_revision.empty()) {
    promote_revision(pass, spec.quantization.from_revision);
  } else {
    pass.plan.status.artifact.reset();
    choose_candidate(pass);
  }
}

}  // namespace stepdown::rollout
