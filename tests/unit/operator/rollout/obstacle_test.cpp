// What the cluster refuses for good is told, not retried in silence.
#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

using testing::Cluster;

const Obstacle kTaken{"NameTaken", "Service m exists and is not this model's"};

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
