// What the cluster refuses for good is told, not retried in silence.
#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

using testing::Cluster;

const Obstacle kTaken{"NameTaken", "Service m exists and is not this model's"};
const Obstacle kFailing{kChildFailed, "the API server fails at Deployment m-fp16: 500", true};

TEST(Obstacle, StallsWithItsReasonAndAWarning) {
  Cluster cluster;
  cluster.until("Starting");
  Observed seen = cluster.observe();
  seen.obstacles = {kTaken};
  const Plan plan = make_plan(seen, cluster.settings, cluster.now);
  const api::Condition* stalled = api::find_condition(plan.status.conditions, "Stalled");
  ASSERT_NE(stalled, nullptr);
  EXPECT_EQ(stalled->status + " " + stalled->reason, "True NameTaken");
  EXPECT_EQ(plan.status.summary.message, kTaken.message);
  ASSERT_EQ(plan.events.size(), 1u);
  EXPECT_TRUE(plan.events.front().warning);
  EXPECT_EQ(plan.events.front().note, kTaken.message);
}

TEST(Obstacle, OneThatMayGoByItselfIsToldOnceAndStallsNothing) {
  Cluster cluster;
  cluster.until("Promoted");
  Observed seen = cluster.observe();
  seen.obstacles = {kFailing};
  const Plan plan = make_plan(seen, cluster.settings, cluster.now);
  EXPECT_EQ(plan.status.phase, "Promoted");
  const api::Condition* reconciling = api::find_condition(plan.status.conditions, "Reconciling");
  EXPECT_EQ(reconciling->status + " " + reconciling->reason, "True ChildFailed");
  EXPECT_EQ(api::find_condition(plan.status.conditions, "Stalled")->status, "False");
  ASSERT_EQ(plan.events.size(), 1u);
  EXPECT_EQ(plan.events.front().reason + " " + plan.events.front().note, "ChildFailed " + kFailing.message);
  cluster.model.status = plan.status;
  seen = cluster.observe();
  seen.obstacles = {kFailing};
  EXPECT_TRUE(make_plan(seen, cluster.settings, cluster.now).events.empty());
  seen.obstacles = {kFailing, kTaken};
  EXPECT_EQ(api::find_condition(make_plan(seen, cluster.settings, cluster.now).status.conditions, "Stalled")
                ->reason,
            "NameTaken");
}

TEST(Obstacle, ClearsOnceItIsGone) {
  Cluster cluster;
  cluster.until("Starting");
  Observed seen = cluster.observe();
  seen.obstacles = {kTaken};
  cluster.model.status = make_plan(seen, cluster.settings, cluster.now).status;
  cluster.until("Promoted");
  EXPECT_EQ(cluster.ready(), "True Promoted");
}

TEST(Obstacle, AModelWithoutItsServiceIsNotAvailable) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.drop({"Service", "m"});
  const Plan plan = make_plan(cluster.observe(), cluster.settings, cluster.now);
  EXPECT_EQ(api::find_condition(plan.status.conditions, "Available")->status, "False");
}

}  // namespace
}  // namespace stepdown::rollout
