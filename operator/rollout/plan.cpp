#include "operator/rollout/plan.h"

#include <algorithm>

#include "operator/rollout/children/common.h"
#include "operator/rollout/children/gateway.h"
#include "operator/rollout/children/records.h"
#include "operator/rollout/choose.h"
#include "operator/rollout/cleanup.h"
#include "operator/rollout/engines.h"
#include "operator/rollout/names.h"
#include "operator/rollout/status.h"

namespace stepdown::rollout {
namespace {

using nlohmann::json;

/// One pass over one model, from the source to traffic; each step adds to the plan and to what was found.
class Pass {
 public:
  Pass(const Observed& observed, const Settings& settings, api::Time now)
      : observed_(observed), model_(observed.model), settings_(settings), now_(now) {
    plan_.status = model_.status;
  }

  Plan run() {
    if (model_.metadata.deleting) return remove_all();
    if (!has_finalizer()) {
      plan_.finalizers = model_.metadata.finalizers;
      plan_.finalizers->push_back(kFinalizer);
    }
    if (model_.spec.suspend) return suspend();
    judge();
    if (!compat::has_errors(found_.rules)) inspect_base();
    if (found_.base && !compat::has_errors(found_.rules)) find_target();
    move_traffic();
    finish();
    return std::move(plan_);
  }

 private:
  bool has_finalizer() const { return std::ranges::count(model_.metadata.finalizers, kFinalizer) > 0; }

  Plan remove_all() {
    std::vector<Child> left = all_children(observed_);
    // One that is being deleted goes by itself, a claim once no pod uses it.
    std::erase_if(left, [](const Child& child) { return child.deleting; });
    plan_.remove = left;
    if (left.empty() && has_finalizer()) {
      plan_.finalizers = model_.metadata.finalizers;
      std::erase(*plan_.finalizers, kFinalizer);
    }
    plan_.status.phase = "Deleting";
    plan_.status.summary.message = std::to_string(left.size()) + " objects are being removed";
    return std::move(plan_);
  }

  Plan suspend() {
    found_.base = model_.status.model;
    describe_subject();
    describe(plan_.status, observed_, found_, now_);
    plan_.events = events(model_.status, plan_.status);
    return std::move(plan_);
  }

  void judge() {
    compat::Inventory inventory{.model = {}, .profile = observed_.profile, .from_revision = {}};
    if (model_.status.model && model_.status.model->inspect_job == names::inspect_job(model_)) {
      inventory.model = model_.status.model;
    }
    if (const auto* revision = promoted_revision()) inventory.from_revision = *revision;
    found_.rules = compat::judge(model_.spec, inventory);
  }

  const api::QuantRevision* promoted_revision() const {
    const std::string& name = model_.spec.quantization.from_revision;
    return name.empty() ? nullptr : observed_.revision(name);
  }

  void inspect_base() {
    Inspection inspection = inspect(observed_, settings_, now_);
    keep_jobs(inspection.jobs);
    move_to(plan_.create, inspection.create);
    found_.problem = inspection.problem;
    found_.base = inspection.model;
    if (!found_.base || inspection.model == model_.status.model) return;
    // Facts that are new may show faults that the spec alone does not.
    compat::Inventory inventory{.model = found_.base, .profile = observed_.profile, .from_revision = {}};
    if (const auto* revision = promoted_revision()) inventory.from_revision = *revision;
    found_.rules = compat::judge(model_.spec, inventory);
  }

  void find_target() {
    plan_.status.model = found_.base;
    if (model_.spec.serving.engine != "stepdown" && !observed_.profile) {
      found_.problem =
          StageProblem{"EngineProfileNotFound", "there is no EngineProfile " + model_.spec.serving.engine};
      return;
    }
    if (const std::string& name = model_.spec.quantization.from_revision; !name.empty()) {
      promote_revision(name);
    } else {
      choose_candidate();
    }
  }

  void promote_revision(const std::string& name) {
    plan_.status.baseline.reset();
    plan_.status.candidates.clear();
    const api::QuantRevision* revision = promoted_revision();
    if (revision == nullptr) {
      found_.problem =
          StageProblem{"RevisionNotFound", "there is no QuantRevision " + name + " in this namespace"};
      return;
    }
    found_.target = {true, revision->spec.artifact.digest, name};
  }

  void choose_candidate() {
    found_.trial = try_candidates(observed_, settings_, *found_.base, now_);
    Trial& trial = *found_.trial;
    keep_jobs(trial.jobs);
    move_to(plan_.create, trial.create);
    found_.problem = trial.problem;
    if (trial.quantized && trial.evaluated) {
      const auto best = choose(trial.candidates);
      if (!best) {
        found_.target = {true, found_.base->digest, "fp16"};
      } else {
        api::CandidateStatus& row = trial.candidates[*best];
        row.state = model_.status.is_blocked(row.digest) ? api::candidate_state::kBlocked
                                                         : api::candidate_state::kChosen;
        const auto specs = api::candidates_of(model_.spec.quantization);
        const json revision = children::revision(model_, *found_.base, specs[*best], row);
        made_.push_back(api::parse_quant_revision(revision, api::UnknownFields::kRefuse));
        found_.target = {true, row.digest, made_.back().metadata.name};
        plan_.create.push_back(revision);
      }
    }
    plan_.status.baseline = trial.baseline;
    plan_.status.candidates = trial.candidates;
  }

  /// The base that traffic can fall back to: the inspected one, or while the spec is invalid or a new source
  /// is not read yet, the one before.
  std::optional<api::ModelFacts> serving_base() const {
    return found_.base ? found_.base : model_.status.model;
  }

  void move_traffic() {
    const auto base = serving_base();
    if (!base) return;
    const bool from_spec = found_.base.has_value() && !compat::has_errors(found_.rules);
    if (!from_spec && !model_.status.rollout) return;
    const Engines engines(observed_, settings_, *base, made_);
    const api::RolloutStatus before = model_.status.rollout.value_or(api::RolloutStatus{});
    const std::int64_t full = model_.spec.serving.replicas;
    StepInput input{.spec = model_.spec.rollout,
                    .status = model_.status,
                    .uid = model_.metadata.uid,
                    .base = base->digest,
                    .base_before = model_.status.model ? model_.status.model->digest : "",
                    .target = from_spec ? found_.target : Target{},
                    .command = pending_command(),
                    .failed_jobs_gone = !has_failed_jobs(),
                    .now = now_};
    if (from_spec) {
      input.fp16_ready = engines.ready(base->digest, full);
      const std::string& target = input.target.digest;
      if (input.target.decided && target != base->digest) {
        input.candidate_ready = engines.ready(target, full);
        input.candidate_failed = !input.candidate_ready && engines.failed(target);
      }
    }
    StepOutcome outcome = advance(input);
    if (outcome.look_again) look_again(*outcome.look_again);
    take(outcome, engines, *base);
    if (from_spec) {
      want_engines(engines, *base);
    } else {
      keep_what_serves();
    }
    describe_serving(engines, *base, before);
  }

  void take(StepOutcome& outcome, const Engines& engines, const api::ModelFacts& base) {
    api::RolloutStatus& rollout = outcome.rollout;
    found_.position = outcome.position;
    found_.waits_for = outcome.message;
    rollout.routes = {{base.digest, names::fp16_engine(model_.metadata.name), api::role::kFp16}};
    if (rollout.stable != base.digest) {
      rollout.routes.push_back({rollout.stable, engines.name(rollout.stable), api::role::kStable});
    }
    if (!rollout.digest.empty()) {
      rollout.routes.push_back({rollout.digest, engines.name(rollout.digest), api::role::kCandidate});
    }
    if (outcome.rollback) {
      outcome.rollback->revision = revision_name(outcome.rollback->digest, base);
      plan_.status.last_rollback = outcome.rollback;
    }
    if (outcome.command) plan_.status.command = outcome.command;
    plan_.status.blocked = std::move(outcome.blocked);
    plan_.status.paused = outcome.paused;
    plan_.status.stable_revision = revision_name(rollout.stable, base);
    if (found_.target.decided) plan_.status.current_revision = found_.target.revision;
    plan_.status.rollout = std::move(rollout);
    for (api::CandidateStatus& row : plan_.status.candidates) {
      if (row.state == api::candidate_state::kChosen && plan_.status.is_blocked(row.digest)) {
        row.state = api::candidate_state::kBlocked;
      }
    }
  }

  std::string revision_name(const std::string& digest, const api::ModelFacts& base) const {
    if (digest == base.digest) return "fp16";
    if (found_.target.digest == digest) return found_.target.revision;
    const api::QuantRevision* found = observed_.revision_of(digest);
    return found != nullptr ? found->metadata.name : names::revision(model_.metadata.name, digest);
  }

  void want_engines(const Engines& engines, const api::ModelFacts& base) {
    const api::RolloutStatus& rollout = *plan_.status.rollout;
    const std::string target = found_.target.decided ? found_.target.digest : "";
    const auto want = [&](const std::string& digest, std::int64_t replicas) {
      const std::string name = engines.name(digest);
      wanted_.insert({"Deployment", name});
      wanted_.insert({"Service", name});
      auto objects = engines.objects(digest, replicas);
      move_to(plan_.apply, objects);
    };
    want(base.digest, engines.fp16_replicas(rollout, target));
    if (rollout.stable != base.digest) want(rollout.stable, model_.spec.serving.replicas);
    if (!rollout.digest.empty()) want(rollout.digest, model_.spec.serving.replicas);
    auto gateway = children::gateway(model_, settings_);
    move_to(plan_.apply, gateway);
  }

  /// The spec cannot be followed now: what serves stays as it is.
  void keep_what_serves() {
    for (const Child& child : observed_.children) wanted_.insert({child.kind, child.name});
  }

  void describe_serving(const Engines& engines, const api::ModelFacts& base,
                        const api::RolloutStatus& before) {
    const auto available = [&](const std::string& name) {
      const Deployment* deployment = observed_.deployment(name);
      return deployment != nullptr && deployment->available > 0;
    };
    const api::RolloutStatus& rollout = *plan_.status.rollout;
    const std::string gateway = names::gateway(model_.metadata.name);
    found_.fp16_serves = available(names::fp16_engine(model_.metadata.name));
    found_.stable_serves = available(engines.name(rollout.stable));
    found_.gateway_serves = available(gateway);
    const Deployment* gateway_deployment = observed_.deployment(gateway);
    const std::int64_t fp16 = engines.fp16_replicas(rollout, found_.target.digest);
    found_.all_ready =
        gateway_deployment != nullptr && gateway_deployment->settled && engines.ready(base.digest, fp16) &&
        (rollout.stable == base.digest || engines.ready(rollout.stable, model_.spec.serving.replicas)) &&
        before.stable == rollout.stable;
  }

  void describe_subject() {
    const auto& rollout = plan_.status.rollout;
    if (!rollout || !found_.base) return;
    const std::string& subject = rollout->digest.empty() ? rollout->stable : rollout->digest;
    if (subject == found_.base->digest) {
      found_.subject_method = "fp16";
      return;
    }
    const auto made =
        std::ranges::find_if(made_, [&](const auto& each) { return each.spec.artifact.digest == subject; });
    const api::QuantRevision* revision = made != made_.end() ? &*made : observed_.revision_of(subject);
    if (revision == nullptr) return;
    found_.subject_method =
        api::CandidateSpec{.method = revision->spec.method, .preset = revision->spec.preset}.name();
    found_.subject_scores = revision->spec.scores;
    found_.subject_size = revision->spec.artifact.size;
  }

  std::optional<Command> pending_command() const {
    const auto text = model_.metadata.annotations.find(kCommandAnnotation);
    if (text == model_.metadata.annotations.end()) return std::nullopt;
    const auto command = parse_command(text->second);
    if (!command || (model_.status.command && model_.status.command->id == command->id)) return std::nullopt;
    return command;
  }

  bool has_failed_jobs() const { return std::ranges::any_of(observed_.jobs, job_failed); }
  static bool job_failed(const Job& job) { return job.state == JobState::kFailed; }

  void finish() {
    if (!found_.base) found_.base = compat::has_errors(found_.rules) ? model_.status.model : std::nullopt;
    describe_subject();
    describe(plan_.status, observed_, found_, now_);
    plan_.events = events(model_.status, plan_.status);
    keep_only_missing();
    for (const json& object : plan_.apply) want(object);
    for (const json& object : plan_.create) want(object);
    if (compat::has_errors(found_.rules)) keep_what_serves();
    plan_.remove = superfluous(observed_, wanted_, now_);
    if (const auto command = pending_command(); command && command->verb == "retry") remove_failed_jobs();
    if (!plan_.remove.empty() || has_waiting_engines()) look_again(std::chrono::seconds(5));
    if (std::ranges::any_of(observed_.jobs, [](const Job& job) {
          return job.state == JobState::kSucceeded && job.summary.empty();
        })) {
      look_again(std::chrono::seconds(5));
    }
  }

  void want(const json& object) {
    wanted_.insert(
        {object.at("kind").get<std::string>(), object.at("metadata").at("name").get<std::string>()});
  }

  void keep_only_missing() {
    std::erase_if(plan_.create, [&](const json& object) {
      want(object);
      const std::string kind = object.at("kind"), name = object.at("metadata").at("name");
      return std::ranges::any_of(
          observed_.children, [&](const Child& child) { return child.kind == kind && child.name == name; });
    });
  }

  void remove_failed_jobs() {
    for (const Child& child : observed_.children) {
      if (child.kind != "Job" || child.deleting) continue;
      const Job* job = observed_.job(child.name);
      const bool listed = std::ranges::count(plan_.remove, child) > 0;
      if (job != nullptr && job_failed(*job) && !listed) plan_.remove.push_back(child);
    }
  }

  /// Engines that are kept only until the gateway follows the present epoch.
  bool has_waiting_engines() const {
    return std::ranges::any_of(observed_.children, [&](const Child& child) {
      return !child.deleting && (child.kind == "Deployment" || child.kind == "Service") &&
             !wanted_.contains({child.kind, child.name});
    });
  }

  void keep_jobs(const std::vector<std::string>& names) {
    for (const std::string& name : names) wanted_.insert({"Job", name});
  }
  static void move_to(std::vector<json>& to, std::vector<json>& from) {
    std::ranges::move(from, std::back_inserter(to));
    from.clear();
  }
  void look_again(std::chrono::milliseconds delay) {
    plan_.look_again = plan_.look_again ? std::min(*plan_.look_again, delay) : delay;
  }

  const Observed& observed_;
  const api::QuantizedModel& model_;
  const Settings& settings_;
  api::Time now_;
  Plan plan_;
  Findings found_;
  std::vector<api::QuantRevision> made_;
  std::set<ChildName> wanted_;
};

}  // namespace

Plan make_plan(const Observed& observed, const Settings& settings, api::Time now) {
  return Pass(observed, settings, now).run();
}

}  // namespace stepdown::rollout
