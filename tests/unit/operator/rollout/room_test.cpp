// A candidate never takes the last room of what serves: its pods are made after those.
#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

using testing::Cluster;
using testing::digest;

constexpr const char* kStable = "m-444444444444";
constexpr const char* kCandidate = "m-888888888888";

/// Q4_K_M is stable on two pods, and Q8_0 is about to follow it.
Cluster about_to_follow() {
  Cluster cluster;
  cluster.model.spec.serving.replicas = 2;
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  EXPECT_EQ(cluster.replicas("m-fp16"), 1);
  cluster.edit([](auto& spec) { spec.evaluation.slo["jsonPass"].min = 0.97; });
  return cluster;
}

void expect_promotion(Cluster& cluster) {
  cluster.settle_all();
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('8'));
}

void expect_to_wait_for_room_of(const char* deployment, const char* says) {
  Cluster cluster = about_to_follow();
  cluster.room[deployment] = 1;
  cluster.world();
  cluster.settle_all();
  EXPECT_FALSE(cluster.has("Deployment", kCandidate));
  EXPECT_NE(cluster.model.status.summary.message.find(says), std::string::npos)
      << cluster.model.status.summary.message;
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'));
  cluster.room.clear();
  expect_promotion(cluster);
}

TEST(Room, Fp16GrowsToTheFullLoadFirst) {
  expect_to_wait_for_room_of("m-fp16", "waits for the FP16 engine");
}

TEST(Room, AllPodsOfTheStableRevisionComeFirst) {
  expect_to_wait_for_room_of(kStable, "all pods of the stable revision");
}

TEST(Room, AStableRevisionThatServesNothingIsSucceeded) {
  Cluster cluster = about_to_follow();
  cluster.room[kStable] = 0;
  cluster.world();
  expect_promotion(cluster);
}

TEST(Room, PodsThatAreThereStayWhenOthersFail) {
  Cluster cluster = about_to_follow();
  cluster.until("Canary");
  ASSERT_TRUE(cluster.has("Deployment", kCandidate));
  cluster.room[kStable] = 1;
  cluster.room["m-fp16"] = 0;
  cluster.settle_all();
  EXPECT_TRUE(cluster.has("Deployment", kCandidate));
}

}  // namespace
}  // namespace stepdown::rollout
