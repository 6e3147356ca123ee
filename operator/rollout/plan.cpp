#include "operator/rollout/plan.h"

#include <algorithm>

#include "operator/rollout/artifacts.h"
#include "operator/rollout/children/jobs.h"
#include "operator/rollout/command.h"
#include "operator/rollout/job_view.h"
#include "operator/rollout/pass.h"

namespace stepdown::rollout {
namespace {

constexpr std::chrono::seconds kNextLook{5};

bool has_finalizer(const api::QuantizedModel& model) {
  return std::ranges::count(model.metadata.finalizers, kFinalizer) > 0;
}

void refuse_command(Pass& pass, const std::string& why) {
  if (const auto command = pending_command(pass.model())) {
    pass.plan.status.command = answer(*command, pass.now, why);
  }
}

/// The claim that the Job is to tidy up was deleted too, and what lay on it: the scheduler says so.
bool claim_is_gone(const std::string& claim, const Job& job) {
  return job.waiting.find("persistentvolumeclaim \"" + claim + "\" not found") != std::string::npos;
}

/// Children first, then what they left on a claim that stays, then the finalizer.
void remove_all(Pass& pass) {
  const api::QuantizedModel& model = pass.model();
  refuse_command(pass, "the model is being deleted");
  const LastCollection collection = last_collection(pass.observed);
  std::vector<Child> left = all_children(pass.observed);
  std::erase_if(left, [&](const Child& child) {
    // One that is being deleted goes by itself, a claim once no pod uses it.
    return child.deleting || (child.kind == "Job" && child.name == collection.job);
  });
  pass.plan.status.phase = "Deleting";
  pass.plan.status.summary.message = std::to_string(left.size()) + " objects are being removed";
  pass.plan.remove = left;
  if (!left.empty()) return;
  // A Job that the API server refuses, by a quota or a policy, must not hold the deletion up.
  const bool refused = pass.observed.lasting_obstacle() != nullptr;
  const Job* job = pass.observed.job(collection.job);
  if (!refused && job == nullptr && collection.waits) {
    pass.plan.status.summary.message = "waits for another model that shares its claim";
    return pass.look_again(kNextLook);
  }
  if (!refused && !collection.job.empty()) {
    pass.plan.status.summary.message = "Job " + collection.job + " removes " +
                                       std::to_string(collection.uris.size()) + " artifacts and reports";
    if (job == nullptr) {
      pass.plan.create.push_back(
          children::collect_job(model, pass.settings, collection.job, collection.uris));
    }
    if (job == nullptr) return;
    if (job->state == JobState::kRunning && !claim_is_gone(collection.claim, *job)) {
      if (!job->waiting.empty())
        pass.plan.status.summary.message += ", once it can start: " + job->waiting.substr(0, 500);
      return;
    }
    std::ranges::copy_if(pass.observed.children, std::back_inserter(pass.plan.remove),
                         [&](const Child& child) { return child.name == collection.job; });
  }
  if (has_finalizer(model)) {
    pass.plan.finalizers = model.metadata.finalizers;
    std::erase(*pass.plan.finalizers, kFinalizer);
  }
}

/// What the revision that is rolled out or stable is, for the summary.
void describe_subject(Pass& pass) {
  const auto& rollout = pass.plan.status.rollout;
  Findings& found = pass.found;
  if (!rollout || !found.base) return;
  const std::string& subject = rollout->digest.empty() ? rollout->stable : rollout->digest;
  if (subject == found.base->digest) {
    found.subject_method = "fp16";
    return;
  }
  const auto made =
      std::ranges::find_if(pass.made, [&](const auto& each) { return each.spec.artifact.digest == subject; });
  const api::QuantRevision* revision = made != pass.made.end() ? &*made : pass.observed.revision_of(subject);
  if (revision == nullptr) return;
  found.subject_method =
      api::CandidateSpec{.method = revision->spec.method, .preset = revision->spec.preset}.name();
  found.subject_scores = revision->spec.scores;
  found.subject_size = revision->spec.artifact.size;
}

void describe_all(Pass& pass) {
  describe_subject(pass);
  describe(pass.plan.status, pass.observed, pass.found, pass.now);
  pass.plan.events = events(pass.model().status, pass.plan.status);
}

void suspend(Pass& pass) {
  refuse_command(pass, "spec.suspend is set");
  pass.found.base = pass.model().status.model;
  describe_all(pass);
}

/// What the plan would create and is there, only to say nothing any more.
void remove_unread(Pass& pass) {
  for (const nlohmann::json& object : pass.plan.create) {
    const std::string name = object.at("metadata").at("name");
    const Job* job = object.at("kind") == "Job" ? pass.observed.job(name) : nullptr;
    if (job == nullptr || !is_unread(*job, pass.now)) continue;
    std::ranges::copy_if(
        pass.observed.children, std::back_inserter(pass.plan.remove),
        [&](const Child& child) { return child.kind == "Job" && child.name == name && !child.deleting; });
  }
}

void keep_only_missing(Pass& pass) {
  std::erase_if(pass.plan.create, [&](const nlohmann::json& object) {
    const std::string kind = object.at("kind"), name = object.at("metadata").at("name");
    return std::ranges::any_of(pass.observed.children,
                               [&](const Child& child) { return child.kind == kind && child.name == name; });
  });
}

/// Engines that are kept only until the gateway follows the present epoch.
bool has_waiting_engines(const Pass& pass) {
  return std::ranges::any_of(pass.observed.children, [&](const Child& child) {
    return !child.deleting &&
           (child.kind == "Deployment" || child.kind == "LeaderWorkerSet" || child.kind == "Service") &&
           !pass.wanted.contains({child.kind, child.name});
  });
}

bool awaits_summary(const Job& job) {
  return job.state == JobState::kSucceeded && job.summary.empty();
}

void clean_up(Pass& pass) {
  for (const nlohmann::json& object : pass.plan.apply) pass.want(object);
  for (const nlohmann::json& object : pass.plan.create) pass.want(object);
  if (!pass.follows_spec()) pass.keep_all();
  pass.plan.remove = superfluous(pass.observed, pass.wanted, pass.now);
  remove_unread(pass);
  keep_only_missing(pass);
  if (const auto command = pending_command(pass.model()); command && command->verb == "retry") {
    for (const Child& child : failures(pass.observed)) {
      const bool listed = std::ranges::count(pass.plan.remove, child) > 0;
      if (!child.deleting && !listed) pass.plan.remove.push_back(child);
    }
  }
  if (!pass.plan.remove.empty() || has_waiting_engines(pass) ||
      std::ranges::any_of(pass.observed.jobs, awaits_summary)) {
    pass.look_again(kNextLook);
  }
}

void follow(Pass& pass) {
  find_target(pass);
  move_traffic(pass);
  give_up_artifacts(pass);
  describe_all(pass);
  clean_up(pass);
}

}  // namespace

Plan make_plan(const Observed& observed, const Settings& settings, api::Time now) {
  Pass pass{.observed = observed, .settings = settings, .now = now};
  const api::QuantizedModel& model = observed.model;
  pass.plan.status = model.status;
  if (model.metadata.deleting) {
    remove_all(pass);
    return std::move(pass.plan);
  }
  if (!has_finalizer(model)) {
    pass.plan.finalizers = model.metadata.finalizers;
    pass.plan.finalizers->push_back(kFinalizer);
  }
  if (model.spec.suspend) {
    suspend(pass);
  } else {
    follow(pass);
  }
  return std::move(pass.plan);
}

}  // namespace stepdown::rollout
