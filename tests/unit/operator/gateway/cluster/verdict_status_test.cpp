#include "operator/gateway/cluster/verdict_status.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/gateway/cluster/snapshot.h"

namespace stepdown::gateway {
namespace {

using nlohmann::json;

Rollout rollout() {
  Rollout rollout;
  rollout.candidate = "sha256:c";
  rollout.weight = 1;
  rollout.epoch = 3;
  rollout.min_answers = 2;
  rollout.stable = "sha256:b";
  rollout.backends = {{"sha256:b", "m-fp16", "fp16"}, {"sha256:c", "m-c", "candidate"}};
  return rollout;
}

class VerdictStatusTest : public testing::Test {
 protected:
  VerdictStatusTest() : traffic_("one", [](const std::string&) { return Reachable::kYes; }) {
    traffic_.remember({});
    traffic_.follow(rollout(), now_);
  }
  void answer(Fault fault) {
    now_ += std::chrono::milliseconds(1500);
    const auto assignment = traffic_.assign("x", "", now_);
    traffic_.answered(assignment, {fault, true}, now_);
  }

  WallTime now_{std::chrono::hours(500'000)};
  Traffic traffic_;
};

TEST_F(VerdictStatusTest, TellsOfHealthAndThenOfTheTrip) {
  EXPECT_EQ(verdict_status(traffic_, 1, now_)["conditions"][0]["status"], "Unknown");
  answer(Fault::kNone);
  EXPECT_EQ(verdict_status(traffic_, 7, now_)["conditions"][0]["reason"], "TooFewAnswers");
  answer(Fault::kNone);
  json status = verdict_status(traffic_, 7, now_);
  EXPECT_EQ(status["conditions"][0]["status"], "True");
  EXPECT_EQ(status["conditions"][0]["observedGeneration"], 7);
  EXPECT_EQ(status["verdict"]["state"], "Watching");
  EXPECT_EQ(status["verdict"]["answers"]["candidate"], 2);
  EXPECT_EQ(status["verdict"]["stepAnswers"], 2);
  const json before = essence(status);
  answer(Fault::kNone);
  EXPECT_EQ(essence(verdict_status(traffic_, 7, now_)), before) << "counts alone are not urgent";

  for (int i = 0; i < 6; ++i) answer(Fault::kLooping);
  EXPECT_FALSE(traffic_.awaits_fp16(now_));
  status = verdict_status(traffic_, 7, now_);
  EXPECT_EQ(status["conditions"][0]["status"], "False");
  EXPECT_EQ(status["conditions"][0]["reason"], "FailuresAboveCeiling");
  EXPECT_EQ(status["verdict"]["state"], "Tripped");
  EXPECT_EQ(status["verdict"]["detectedBy"], "ceiling");
  EXPECT_EQ(status["verdict"]["msTripToFp16"], 1500);
  EXPECT_GT(status["verdict"]["msSinceFirstBad"], 1500);
  EXPECT_NE(essence(status), before);
}

TEST_F(VerdictStatusTest, TheTripIsStillToldWhenTheOperatorHasTakenTheRevisionAway) {
  for (int i = 0; i < 8; ++i) answer(Fault::kEmpty);
  Rollout after = rollout();
  after.candidate.clear();
  after.weight = 0;
  after.epoch = 4;
  after.blocked = {"sha256:c"};
  traffic_.follow(after, now_);
  const json status = verdict_status(traffic_, 1, now_);
  EXPECT_EQ(status["verdict"]["digest"], "sha256:c");
  EXPECT_EQ(status["verdict"]["epoch"], 4) << "so the operator sees that its epoch is followed";
}

TEST_F(VerdictStatusTest, ATripReadBackFromStatusIsTheTrip) {
  for (int i = 0; i < 8; ++i) answer(Fault::kEmpty);
  const json model = {{"status", verdict_status(traffic_, 1, now_)}};
  const auto trip = trip_of_status(model);
  ASSERT_TRUE(trip);
  EXPECT_EQ(trip->digest, "sha256:c");
  EXPECT_EQ(trip->epoch, 3U);
  EXPECT_EQ(trip->reason, "empty");
  EXPECT_TRUE(trip->fp16_at);
  EXPECT_FALSE(
      trip_of_status(json::parse(R"({"status": {"verdict": {"state": "Watching", "digest": "x"}}})")));
  EXPECT_FALSE(trip_of_status(json::parse(R"({"status": []})")));
}

TEST(TransitionTimes, OutliveTheGatewayWhileTheStatusStays) {
  const json before = json::parse(R"([
    {"type": "Ready", "status": "True", "lastTransitionTime": "t0"},
    {"type": "CanaryHealthy", "status": "True", "lastTransitionTime": "t1"}])");
  struct Case {
    const char* status;
    json before;
    const char* since;
  };
  for (const Case& c : {Case{"True", before, "t1"}, Case{"False", before, "t2"}, Case{"True", nullptr, "t2"},
                        Case{"True", json::array({3, nullptr}), "t2"}}) {
    json conditions = json::array({{{"type", "CanaryHealthy"}, {"status", c.status}}});
    keep_transition_times(conditions, c.before, "t2");
    EXPECT_EQ(conditions[0]["lastTransitionTime"], c.since) << c.before;
  }
}

TEST(SnapshotTest, ReadsReadyAddressesOfTheHttpPort) {
  const json slice = json::parse(R"({
    "metadata": {"labels": {"kubernetes.io/service-name": "m-fp16"}},
    "ports": [{"name": "metrics", "port": 9090}, {"name": "http", "port": 8080}],
    "endpoints": [{"addresses": ["10.0.0.2"], "conditions": {"ready": true}},
                  {"addresses": ["10.0.0.1"], "conditions": {}},
                  {"addresses": ["10.0.0.3"], "conditions": {"ready": false}}]})");
  const Snapshot snapshot = read_snapshot(json::object(), {slice, slice, json(3), json::object()});
  const Endpoints expected = {{"m-fp16", {{"10.0.0.1", 8080}, {"10.0.0.2", 8080}}}};
  EXPECT_EQ(snapshot.endpoints, expected);
}

}  // namespace
}  // namespace stepdown::gateway
