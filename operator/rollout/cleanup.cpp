#include "operator/rollout/cleanup.h"

#include <algorithm>
#include <iterator>

#include "operator/rollout/names.h"

namespace stepdown::rollout {
namespace {

/// A gateway that cannot tell that it follows the present epoch is waited for this long.
constexpr std::chrono::seconds kGatewayDelay{30};

bool gateway_follows(const api::QuantizedModelStatus& status, api::Time now) {
  if (!status.rollout) return true;
  if (status.verdict && status.verdict->epoch >= status.rollout->epoch) return true;
  const auto moved = api::parse_time(status.rollout->step_started_at);
  return moved && now - *moved >= kGatewayDelay;
}

bool is_engine(const Child& child) {
  return child.kind == "Deployment" || child.kind == "LeaderWorkerSet" || child.kind == "Service";
}

}  // namespace

std::vector<Child> superfluous(const Observed& observed, const std::set<ChildName>& wanted, api::Time now) {
  const api::QuantizedModelStatus& status = observed.model.status;
  const bool engines_may_go = gateway_follows(status, now);
  std::vector<Child> out;
  for (const Child& child : observed.children) {
    if (child.deleting || wanted.contains({child.kind, child.name})) continue;
    if (child.kind == "PersistentVolumeClaim" || child.kind == "QuantRevision") continue;
    if (is_engine(child)) {
      const bool routed =
          status.rollout && std::ranges::any_of(status.rollout->routes, [&](const api::Route& route) {
            return route.service == child.name;
          });
      // One that spans other nodes now took its place, by its name.
      const bool replaced =
          (child.kind == "Deployment" && wanted.contains({"LeaderWorkerSet", child.name})) ||
          (child.kind == "LeaderWorkerSet" && wanted.contains({"Deployment", child.name}));
      if (!replaced && (routed || !engines_may_go)) continue;
    }
    out.push_back(child);
  }
  return out;
}

std::vector<Child> failures(const Observed& observed) {
  const api::QuantizedModel& model = observed.model;
  const auto failed = [&](const Child& child) {
    if (child.kind == "Job") {
      const Job* job = observed.job(child.name);
      return job != nullptr && job->state == JobState::kFailed;
    }
    const Deployment* deployment = child.kind == "Deployment" ? observed.deployment(child.name) : nullptr;
    return deployment != nullptr && deployment->deadline_exceeded &&
           std::ranges::any_of(model.status.blocked, [&](const api::Blocked& blocked) {
             return names::engine(model.metadata.name, blocked.digest) == child.name;
           });
  };
  std::vector<Child> out;
  std::ranges::copy_if(observed.children, std::back_inserter(out), failed);
  return out;
}

std::vector<Child> all_children(const Observed& observed) {
  const bool pinned = std::ranges::any_of(observed.children, &Child::pinned);
  std::vector<Child> out;
  for (const Child& child : observed.children) {
    if (child.pinned || (pinned && child.kind == "PersistentVolumeClaim")) continue;
    out.push_back(child);
  }
  return out;
}

}  // namespace stepdown::rollout
