#include "operator/gateway/route/split.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

Rollout rollout(const std::string& stable, double weight, double control) {
  Rollout rollout;
  rollout.candidate = "candidate";
  rollout.weight = weight;
  rollout.stable = stable;
  rollout.control = control;
  rollout.backends = {
      {"base", "m-fp16", "fp16"}, {"candidate", "m-1", "candidate"}, {"stable", "m-2", "stable"}};
  return rollout;
}

struct Case {
  const char* what;
  const char* stable;
  double weight, control;
  std::set<std::string> unusable;
  double candidate, stable_share, fp16;
};

TEST(SplitTest, TheOperatorsSharesOrLess) {
  const Case cases[] = {
      {"FP16 is stable: it is all the rest", "base", 0.25, 0.05, {}, 0.25, 0, 0.75},
      {"weight 100 leaves no control", "base", 1, 0.05, {}, 1, 0, 0},
      {"a quantized stable leaves FP16 its control", "stable", 0.25, 0.05, {}, 0.25, 0.70, 0.05},
      {"weight never eats the control", "stable", 1, 0.05, {}, 0.95, 0, 0.05},
      {"a tripped candidate's share goes to FP16", "stable", 0.25, 0.05, {"candidate"}, 0, 0.70, 0.30},
      {"a tripped stable's share goes to FP16", "stable", 0.25, 0.05, {"stable"}, 0.25, 0, 0.75},
      {"both tripped", "stable", 0.25, 0.05, {"stable", "candidate"}, 0, 0, 1},
      {"FP16 is down: stable carries its share", "stable", 0.25, 0.05, {"base"}, 0.25, 0.75, 0},
      {"FP16 is down and nothing else is stable", "base", 0.25, 0, {"base"}, 0.25, 0, 0.75},
  };
  for (const Case& c : cases) {
    const Split split = split_traffic(rollout(c.stable, c.weight, c.control), [&](const std::string& digest) {
      return !c.unusable.contains(digest);
    });
    EXPECT_NEAR(split.candidate, c.candidate, 1e-12) << c.what;
    EXPECT_NEAR(split.stable, c.stable_share, 1e-12) << c.what;
    EXPECT_NEAR(split.fp16, c.fp16, 1e-12) << c.what;
  }
}

TEST(SplitTest, RequestsFallByTheirShares) {
  const Split split = split_traffic(rollout("stable", 0.25, 0.05), [](const std::string&) { return true; });
  int counts[3] = {};
  for (int i = 0; i < 20'000; ++i) {
    ++counts[static_cast<int>(choose(split, routing_point("salt", "request-" + std::to_string(i))))];
  }
  EXPECT_NEAR(counts[0] / 20'000.0, 0.25, 0.01);
  EXPECT_NEAR(counts[1] / 20'000.0, 0.70, 0.01);
  EXPECT_NEAR(counts[2] / 20'000.0, 0.05, 0.005);
}

TEST(SplitTest, ARisingWeightKeepsItsSessionsAndAnotherSaltDrawsAnew) {
  const auto all = [](const std::string&) { return true; };
  const Split low = split_traffic(rollout("base", 0.05, 0), all);
  const Split high = split_traffic(rollout("base", 0.25, 0), all);
  int moved = 0;
  for (int i = 0; i < 2'000; ++i) {
    const std::string session = "session-" + std::to_string(i);
    if (choose(low, routing_point("a", session)) != Arm::kCandidate) continue;
    EXPECT_EQ(choose(high, routing_point("a", session)), Arm::kCandidate);
    moved += choose(low, routing_point("b", session)) != Arm::kCandidate ? 1 : 0;
  }
  EXPECT_GT(moved, 50);
}

TEST(SplitTest, ShareAgainstControlLeavesTheThirdArmOut) {
  const Split split = split_traffic(rollout("stable", 0.25, 0.05), [](const std::string&) { return true; });
  EXPECT_NEAR(split.against_control(Arm::kCandidate), 0.25 / 0.30, 1e-12);
  EXPECT_NEAR(split.against_control(Arm::kStable), 0.70 / 0.75, 1e-12);
  EXPECT_EQ(split.against_control(Arm::kFp16), 0);
}

TEST(RolloutTest, ReadsWhatTheOperatorWritesAndSurvivesWhatItDoesNot) {
  const auto model = nlohmann::json::parse(R"({
    "spec": {"rollout": {"rollback": {"alpha": 0.02, "maxErrorRate": 0.05}, "shadow": {"percent": 1.5},
                         "escalation": {"minConfidence": 0.5}}},
    "status": {"rollout": {"digest": "sha256:c", "weight": 25, "epoch": 7, "salt": "5f", "stable": "sha256:b",
                           "controlPercent": 5, "routes": [{"digest": "sha256:b", "service": "m-fp16", "role": "fp16"}, 3]},
               "blocked": [{"digest": "sha256:x"}, null]}})");
  const Rollout rollout = read_rollout(model);
  EXPECT_EQ(rollout.candidate, "sha256:c");
  EXPECT_EQ(rollout.weight, 0.25);
  EXPECT_EQ(rollout.epoch, 7U);
  EXPECT_EQ(rollout.control, 0.05);
  EXPECT_EQ(rollout.fp16(), "sha256:b");
  EXPECT_EQ(rollout.blocked, std::set<std::string>{"sha256:x"});
  EXPECT_EQ(rollout.limits.alpha, 0.02);
  EXPECT_EQ(rollout.limits.ratio, 1.5);
  EXPECT_EQ(rollout.shadow, 0.015);

  for (const char* text :
       {"null", "[]", "{}", R"({"status": []})", R"({"status": {"rollout": 3, "blocked": {}}})",
        R"({"status": {"rollout": {"weight": "x", "routes": {}, "epoch": -4}}})"}) {
    EXPECT_TRUE(read_rollout(nlohmann::json::parse(text)).fp16().empty()) << text;
  }
}

}  // namespace
}  // namespace stepdown::gateway
