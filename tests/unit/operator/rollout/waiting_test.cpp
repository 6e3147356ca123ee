// A Job whose pod cannot start is told where people look, at every stage.
#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

using testing::Cluster;

/// A plan for a cluster whose running Jobs wait for `message`.
Plan plan_while_waiting(const Cluster& cluster, const std::string& message, bool may_start) {
  Observed seen = cluster.observe();
  for (Job& job : seen.jobs) {
    if (job.state != JobState::kRunning) continue;
    job.waiting = message;
    job.may_start = may_start;
  }
  return make_plan(seen, cluster.settings, cluster.now);
}

/// The operator's passes without the world's: the Jobs that a phase makes do not end.
void begin(Cluster& cluster, const std::string& phase) {
  for (int i = 0; i < 20 && cluster.model.status.phase != phase; ++i) {
    cluster.reconcile();
    if (cluster.model.status.phase != phase) cluster.world();
  }
  cluster.reconcile();
}

std::string condition(const Plan& plan, const char* type) {
  const api::Condition* found = api::find_condition(plan.status.conditions, type);
  return found == nullptr ? "" : found->status + " " + found->reason + ": " + found->message;
}

TEST(Waiting, AMissingFileStallsWithItsReason) {
  for (const char* phase : {"Quantizing", "Evaluating"}) {
    Cluster cluster;
    begin(cluster, phase);
    const Plan plan = plan_while_waiting(cluster, "FailedMount: /nope.jsonl is not a file", false);
    EXPECT_EQ(plan.status.phase, phase);
    EXPECT_NE(plan.status.summary.message.find("cannot start: FailedMount: /nope.jsonl"), std::string::npos)
        << plan.status.summary.message;
    EXPECT_EQ(condition(plan, "Stalled").find("True JobCannotStart: Job m-"), 0u)
        << condition(plan, "Stalled");
    const char* stage = std::string(phase) == "Evaluating" ? "Evaluated" : "Quantized";
    EXPECT_NE(condition(plan, stage).find("/nope.jsonl"), std::string::npos) << condition(plan, stage);
    ASSERT_EQ(plan.events.size(), 1u);
    EXPECT_EQ(plan.events.front().reason, "JobCannotStart");
  }
}

TEST(Waiting, ANodeMayComeFree) {
  for (const char* phase : {"Inspecting", "Quantizing", "Evaluating"}) {
    Cluster cluster;
    begin(cluster, phase);
    const Plan plan = plan_while_waiting(cluster, "Unschedulable: 0/3 nodes are available", true);
    EXPECT_EQ(plan.status.phase, phase);
    EXPECT_NE(plan.status.summary.message.find("0/3 nodes are available"), std::string::npos)
        << plan.status.summary.message;
    EXPECT_EQ(condition(plan, "Stalled").substr(0, 5), "False");
    EXPECT_EQ(condition(plan, "Reconciling").substr(0, 4), "True");
  }
}

}  // namespace
}  // namespace stepdown::rollout
