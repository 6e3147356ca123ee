// A Job's pod is its only witness; a drained node takes it away.
#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

using testing::Cluster;

/// All Jobs that ended fall silent from now on.
void silence(Cluster& cluster, bool pods_gone) {
  for (auto& [name, job] : cluster.jobs) {
    job.summary.clear();
    job.pods_gone = pods_gone;
  }
}

/// To the first Job of that program which ended, before the operator read what it said.
void until_ended(Cluster& cluster, const std::string& part) {
  for (int i = 0; i < 40; ++i) {
    cluster.reconcile();
    cluster.world();
    for (const auto& [name, job] : cluster.jobs) {
      if (name.find(part) != std::string::npos && !job.summary.empty()) return;
    }
  }
  FAIL() << "no Job " << part;
}

TEST(Unread, AJobWhosePodIsGoneRunsAgain) {
  for (const char* part : {"-inspect-", "-quant-", "-eval-"}) {
    Cluster cluster;
    until_ended(cluster, part);
    silence(cluster, true);
    cluster.wait(std::chrono::seconds(10));
    EXPECT_NE(cluster.model.status.phase, "Failed") << "its message may still be on its way";
    cluster.wait(std::chrono::seconds(30));
    cluster.until("Promoted");
    EXPECT_EQ(cluster.model.status.phase, "Promoted") << part;
  }
}

TEST(Unread, AJobThatSaysNothingFails) {
  Cluster cluster;
  until_ended(cluster, "-inspect-");
  silence(cluster, false);
  cluster.wait(std::chrono::seconds(31));
  EXPECT_EQ(cluster.model.status.phase, "Failed");
  EXPECT_NE(cluster.model.status.summary.message.find("left no summary"), std::string::npos);
}

TEST(Unread, WhatWasReadIsNotMadeAgain) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.settle_all();
  const int evaluations = cluster.evaluations;
  silence(cluster, true);
  cluster.wait(std::chrono::seconds(120));
  EXPECT_TRUE(cluster.last.create.empty() && cluster.last.remove.empty());
  EXPECT_EQ(cluster.evaluations, evaluations);
}

}  // namespace
}  // namespace stepdown::rollout
