#include "operator/rollout/observed.h"

#include <algorithm>

namespace stepdown::rollout {

std::string wait_message(const Job& job) {
  if (job.state != JobState::kRunning || job.waiting.empty()) return "";
  return "Job " + job.name + (job.may_start ? " waits: " : " cannot start: ") + job.waiting.substr(0, 500);
}
namespace {

template <class List, class Wanted>
auto* find(const List& list, Wanted wanted) {
  const auto found = std::ranges::find_if(list, wanted);
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

const Obstacle* Observed::lasting_obstacle() const {
  const auto found = std::ranges::find(obstacles, false, &Obstacle::passing);
  return found == obstacles.end() ? nullptr : &*found;
}

const Job* Observed::job(const std::string& name) const {
  return find(jobs, [&](const Job& each) { return each.name == name; });
}

const Deployment* Observed::deployment(const std::string& name) const {
  return find(deployments, [&](const Deployment& each) { return each.name == name; });
}

const api::QuantRevision* Observed::revision(const std::string& name) const {
  return find(revisions, [&](const api::QuantRevision& each) { return each.metadata.name == name; });
}

const api::QuantRevision* Observed::revision_of(const std::string& digest) const {
  const auto holds = [&](const api::QuantRevision& each) { return each.spec.artifact.digest == digest; };
  // Several records may name one artifact, each at a place of its own: what the spec names goes first, then
  // the model's own.
  const api::QuantRevision* named = revision(model.spec.quantization.from_revision);
  if (named != nullptr && holds(*named)) return named;
  const auto* own = find(revisions, [&](const api::QuantRevision& each) {
    return holds(each) && each.spec.model == model.metadata.name;
  });
  return own != nullptr ? own : find(revisions, holds);
}

}  // namespace stepdown::rollout
