#include "operator/gateway/route/trips.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/gateway/route/trial.h"

namespace stepdown::gateway {
namespace {

Trip trip(const std::string& digest, std::uint64_t epoch) {
  Trip trip;
  trip.digest = digest;
  trip.epoch = epoch;
  trip.reason = "looping";
  trip.evidence = Tests(Limits{}).start();
  return trip;
}

Rollout rollout(const std::string& digest, std::uint64_t epoch, std::uint64_t retried_epoch) {
  Rollout rollout;
  rollout.candidate = digest;
  rollout.epoch = epoch;
  rollout.retried_epoch = retried_epoch;
  return rollout;
}

TEST(TripsTest, NothingQuantizedIsRoutableWhileNothingIsKnown) {
  Trips trips;
  EXPECT_FALSE(trips.routable(rollout("c", 1, 0), "c"));
  trips.set_known();
  EXPECT_TRUE(trips.routable(rollout("c", 1, 0), "c"));
}

TEST(TripsTest, OnlyARetryEndsATrip) {
  struct Case {
    const char* what;
    Rollout rollout;
    bool blocked;
    bool routable;
  };
  const Case cases[] = {
      {"the same rollout", rollout("c", 7, 0), false, false},
      {"its next step, the operator has not seen the trip", rollout("c", 8, 0), false, false},
      {"blocked", rollout("c", 8, 0), true, false},
      {"an older retry", rollout("c", 9, 5), false, false},
      {"a retry of another digest", rollout("c", 9, 9), true, false},
      {"retry", rollout("c", 10, 9), false, true},
  };
  for (Case c : cases) {
    if (c.blocked) c.rollout.blocked.insert("c");
    Trips trips;
    trips.set_known();
    trips.add(trip("c", 7), rollout("c", 7, 0));
    trips.clear_retried(c.rollout);
    EXPECT_EQ(trips.routable(c.rollout, "c"), c.routable) << c.what;
  }
}

TEST(TripsTest, SurviveAWriteAndARead) {
  Trips trips;
  Trip one = trip("c", 7);
  one.at = WallTime(std::chrono::milliseconds(1'700'000'000'123));
  one.fp16_at = one.at + std::chrono::milliseconds(4);
  one.detected_by = Detector::kCeiling;
  trips.add(one, rollout("c", 7, 0));
  const auto read = trips_from_json(nlohmann::json::parse(to_json(trips).dump()));
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].digest, "c");
  EXPECT_EQ(read[0].epoch, 7U);
  EXPECT_EQ(read[0].detected_by, Detector::kCeiling);
  EXPECT_EQ(read[0].at, one.at);
  EXPECT_EQ(read[0].fp16_at, one.fp16_at);
  EXPECT_TRUE(trips_from_json(nlohmann::json::parse(R"([{"digest": 3}, null, {}])")).empty());
}

TEST(TrialTest, ASessionCountsAtMostOneError) {
  Trial trial("c", Limits{});
  for (int i = 0; i < 50; ++i) trial.answered({Fault::kEmpty, true, 0.1, "one session", {}});
  EXPECT_EQ(trial.own().candidate_errors, 1U);
  EXPECT_FALSE(trial.decide());
  for (int i = 0; i < 9; ++i) trial.answered({Fault::kEmpty, true, 0.1, "session " + std::to_string(i), {}});
  ASSERT_TRUE(trial.decide());
  EXPECT_EQ(trial.trip(*trial.decide(), 3, WallTime{}).reason, "empty");
}

TEST(TrialTest, PeersErrorsCountAndAreNeverCountedTwice) {
  Trial one("c", Limits{});
  Trial two("c", Limits{});
  for (int i = 0; i < 2; ++i) one.answered({Fault::kLooping, true, 0.1, "", {}});
  two.answered({Fault::kLooping, true, 0.1, "", {}});
  EXPECT_FALSE(two.decide());
  for (int i = 0; i < 5; ++i) two.hear("one", one.own());
  EXPECT_EQ(two.combined().candidate_errors, 3U);
  EXPECT_TRUE(two.decide());
}

TEST(TrialTest, TheRetryBudgetRunsOutUnlessAnswersEarnItBack) {
  const Trial::Answer rescued{Fault::kLooping, true, 1, "", {}};
  for (const int good_between : {0, 5, 10}) {
    Trial trial("c", Limits{.max_error_rate = 0.5});
    int retries = 0;
    // Pairs of a good and a bad answer are under the ceiling: what decides is the budget.
    while (!trial.decide() && retries < 1'000) {
      trial.answered({});
      for (int i = 0; i < good_between; ++i) trial.answered({});
      trial.answered(rescued);
      ++retries;
    }
    if (good_between == 10) {
      EXPECT_EQ(retries, 1'000) << "earned back";
    } else {
      EXPECT_EQ(trial.decide(), Detector::kRetryBudget);
      EXPECT_EQ(retries, good_between == 0 ? 112 : 249);
    }
  }
}

}  // namespace
}  // namespace stepdown::gateway
