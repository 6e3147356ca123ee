#include "operator/gateway/route/traffic.h"

#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

class TrafficTest : public testing::Test {
 protected:
  TrafficTest() {
    rollout_.candidate = "candidate";
    rollout_.weight = 0.25;
    rollout_.epoch = 3;
    rollout_.salt = "salt";
    rollout_.stable = "base";
    rollout_.backends = {{"base", "m-fp16", "fp16"}, {"candidate", "m-1", "candidate"}};
  }

  Traffic gateway(const std::string& name) {
    Traffic traffic(name, [this](const std::string& digest) {
      return down_.contains(digest) ? Reachable::kNo : Reachable::kYes;
    });
    traffic.remember({});
    traffic.follow(rollout_, now_);
    return traffic;
  }

  // Sends requests; the candidate fails them all. The number of bad answers it gave.
  int break_candidate(Traffic& traffic, int requests) {
    int bad = 0;
    for (int i = 0; i < requests; ++i) {
      now_ += std::chrono::milliseconds(1);
      const auto assignment = traffic.assign(std::to_string(++next_id_), "", now_);
      const bool candidate = assignment.arm == Arm::kCandidate;
      bad += candidate ? 1 : 0;
      traffic.answered(assignment, {candidate ? Fault::kLooping : Fault::kNone, candidate}, now_);
    }
    return bad;
  }

  double candidate_share(Traffic& traffic) {
    int hits = 0;
    for (int i = 0; i < 1'000; ++i) {
      hits += traffic.assign(std::to_string(++next_id_), "", now_).arm == Arm::kCandidate ? 1 : 0;
    }
    return hits / 1'000.0;
  }

  Rollout rollout_;
  std::set<std::string> down_;
  WallTime now_{std::chrono::hours(1)};
  int next_id_ = 0;
};

TEST_F(TrafficTest, ABadCandidateTripsAndTheNextRequestIsOnFp16) {
  Traffic traffic = gateway("one");
  EXPECT_NEAR(candidate_share(traffic), 0.25, 0.05);
  EXPECT_LE(break_candidate(traffic, 1'000), 10);
  EXPECT_EQ(candidate_share(traffic), 0);
  const Trip* trip = traffic.trips().find("candidate");
  ASSERT_NE(trip, nullptr);
  EXPECT_EQ(trip->reason, "looping");
  EXPECT_EQ(trip->epoch, 3U);
  ASSERT_TRUE(trip->fp16_at);
  EXPECT_LE(*trip->fp16_at - trip->at, std::chrono::milliseconds(1));
  EXPECT_GT(trip->at, trip->first_bad_at);
}

TEST_F(TrafficTest, TheTripOutlivesItsRolloutUntilARetry) {
  Traffic traffic = gateway("one");
  break_candidate(traffic, 1'000);
  rollout_.epoch = 4;
  rollout_.weight = 1;
  traffic.follow(rollout_, now_);
  EXPECT_EQ(candidate_share(traffic), 0) << "the operator stepped on before it saw the trip";
  rollout_.blocked = {"candidate"};
  rollout_.salt = "another";
  rollout_.epoch = 5;
  traffic.follow(rollout_, now_);
  EXPECT_EQ(candidate_share(traffic), 0) << "Git applied it again";
  rollout_.blocked = {};
  rollout_.epoch = rollout_.retried_epoch = 6;
  traffic.follow(rollout_, now_);
  EXPECT_EQ(candidate_share(traffic), 1) << "retry";
  EXPECT_LE(break_candidate(traffic, 1'000), 10) << "and it is judged anew";
}

TEST_F(TrafficTest, AGatewayThatKnowsNothingSendsAllToFp16) {
  Traffic traffic("one", [](const std::string&) { return Reachable::kYes; });
  traffic.follow(rollout_, now_);
  EXPECT_EQ(candidate_share(traffic), 0);
  traffic.remember({});
  EXPECT_NEAR(candidate_share(traffic), 0.25, 0.05);
}

TEST_F(TrafficTest, ATripSpreadsToPeersAndARetryDoesNotComeBackFromThem) {
  Traffic one = gateway("one");
  Traffic two = gateway("two");
  break_candidate(one, 1'000);
  two.hear(nlohmann::json::parse(one.message().dump()), now_);
  EXPECT_EQ(candidate_share(two), 0);

  rollout_.epoch = rollout_.retried_epoch = 9;
  two.follow(rollout_, now_);
  EXPECT_GT(candidate_share(two), 0.15);
  two.hear(one.message(), now_);  // `one` has not heard of the retry yet
  EXPECT_GT(candidate_share(two), 0.15);
}

TEST_F(TrafficTest, EvidenceOfPeersAdds) {
  Traffic one = gateway("one");
  Traffic two = gateway("two");
  int bad = 0;
  for (int round = 0; round < 100 && two.trips().all().empty(); ++round) {
    Traffic& each = round % 2 == 0 ? one : two;
    while (break_candidate(each, 1) == 0) {
    }
    ++bad;
    one.hear(two.message(), now_);
    two.hear(one.message(), now_);
  }
  EXPECT_LE(bad, 10);
  EXPECT_FALSE(one.trips().all().empty());
  EXPECT_FALSE(two.trips().all().empty());
}

TEST_F(TrafficTest, AnswersCountForTheStepTheyWereJudgedAt) {
  Traffic one = gateway("one");
  Traffic two = gateway("two");
  const auto answer = [&](Traffic& traffic, int answers) {
    for (int i = 0; i < answers;) {
      const auto assignment = traffic.assign(std::to_string(++next_id_), "", now_);
      traffic.answered(assignment, {Fault::kNone, false}, now_);
      i += assignment.arm == Arm::kCandidate ? 1 : 0;
    }
  };
  answer(one, 7);
  answer(two, 5);
  two.hear(one.message(), now_);
  EXPECT_EQ(two.trial("candidate")->combined().step_answers, 12U);
  rollout_.epoch = 4;
  rollout_.weight = 0.5;
  two.follow(rollout_, now_);
  answer(two, 3);
  two.hear(one.message(), now_);  // `one` is still at the step before
  EXPECT_EQ(two.trial("candidate")->combined().step_answers, 3U);
  EXPECT_EQ(two.trial("candidate")->combined().candidate_answers, 15U);
}

TEST_F(TrafficTest, StrangeMessagesOfPeersChangeNothing) {
  Traffic traffic = gateway("one");
  for (const char* text :
       {"null", "3", "{}", R"({"instance": 4})", R"({"instance": "x", "trips": 3, "evidence": []})",
        R"({"instance": "x", "trips": [{}], "evidence": {"candidate": {"arm": [1e400]}}})"}) {
    traffic.hear(nlohmann::json::parse(text, nullptr, false), now_);
  }
  EXPECT_NEAR(candidate_share(traffic), 0.25, 0.05);
}

TEST_F(TrafficTest, AMissingFp16IsToldToPeersOnceAMinute) {
  Traffic one = gateway("one");
  Traffic two = gateway("two");
  EXPECT_FALSE(one.fp16_missed_at());
  const WallTime first = now_;
  one.fp16_missed(now_);
  const auto changes = one.changes();
  now_ += std::chrono::seconds(59);
  one.fp16_missed(now_);
  EXPECT_EQ(one.fp16_missed_at(), first);
  EXPECT_EQ(one.changes(), changes);
  two.hear(one.message(), now_);
  EXPECT_EQ(two.fp16_missed_at(), first);
  now_ += std::chrono::seconds(1);
  one.fp16_missed(now_);
  EXPECT_EQ(one.fp16_missed_at(), now_);
  one.hear(two.message(), now_);
  EXPECT_EQ(one.fp16_missed_at(), now_) << "an older word changes nothing";
  two.hear({{"instance", "one"}, {"fp16MissedAtMs", INT64_MAX}}, now_);
  EXPECT_EQ(two.fp16_missed_at(), now_) << "nobody missed it in the future";
}

TEST_F(TrafficTest, AnUnreachableCandidateLosesItsShareWithoutAVerdict) {
  Traffic traffic = gateway("one");
  down_ = {"candidate"};
  EXPECT_EQ(candidate_share(traffic), 0);
  down_ = {};
  EXPECT_NEAR(candidate_share(traffic), 0.25, 0.05);
  EXPECT_TRUE(traffic.trips().all().empty());
}

TEST_F(TrafficTest, ACandidateListedAsReadyThatNobodyReachesTripsInTheEnd) {
  Traffic traffic = gateway("one");
  const auto look_for = [&](std::chrono::seconds time) {
    for (const WallTime end = now_ + time; now_ < end; now_ += std::chrono::milliseconds(100)) {
      traffic.look_around(now_);
    }
  };
  down_ = {"candidate"};
  look_for(std::chrono::seconds(59));
  EXPECT_TRUE(traffic.trips().all().empty());
  EXPECT_TRUE(traffic.unreachable_since("candidate"));
  down_ = {};
  look_for(std::chrono::seconds(1));
  EXPECT_FALSE(traffic.unreachable_since("candidate")) << "reached again: it starts anew";

  down_ = {"candidate", "base"};
  look_for(std::chrono::seconds(120));
  EXPECT_TRUE(traffic.trips().all().empty()) << "a fault of both";

  Traffic peer("two", [](const std::string&) { return Reachable::kYes; });
  peer.follow(rollout_, now_);
  down_ = {"candidate"};
  for (int i = 0; i < 120; ++i) {
    traffic.hear(peer.message(), now_);
    look_for(std::chrono::seconds(1));
  }
  EXPECT_TRUE(traffic.trips().all().empty()) << "a peer reaches it: this gateway's network is at fault";

  look_for(std::chrono::seconds(66));
  ASSERT_NE(traffic.trips().find("candidate"), nullptr);
  EXPECT_EQ(traffic.trips().find("candidate")->detected_by, Detector::kUnreachable);
}

/// Whichever of two gateways writes status first, it says when new traffic was on FP16.
TEST_F(TrafficTest, APeersTripIsToldOnceTheNextRequestWentToFp16) {
  Traffic one = gateway("one"), two = gateway("two");
  while (one.trips().find("candidate") == nullptr) break_candidate(one, 1);
  const WallTime at = now_;
  two.hear(one.message(), now_ += std::chrono::milliseconds(100));
  EXPECT_TRUE(one.awaits_fp16(now_));
  EXPECT_TRUE(two.awaits_fp16(now_));
  two.assign("next", "", now_ += std::chrono::milliseconds(50));
  EXPECT_FALSE(two.awaits_fp16(now_));
  EXPECT_EQ(two.trips().find("candidate")->fp16_at, at + std::chrono::milliseconds(150));
  one.hear(two.message(), now_ += std::chrono::milliseconds(100));
  EXPECT_FALSE(one.awaits_fp16(now_)) << "the peer's request was the first of all";
  one.assign("later", "", now_);
  EXPECT_EQ(one.trips().find("candidate")->fp16_at, at + std::chrono::milliseconds(150));
}

TEST_F(TrafficTest, AnOldTripOfAPeerAwaitsNothing) {
  Traffic one = gateway("one"), two = gateway("two");
  while (one.trips().find("candidate") == nullptr) break_candidate(one, 1);
  two.hear(one.message(), now_ += std::chrono::seconds(2));
  EXPECT_FALSE(two.awaits_fp16(now_));
  two.assign("next", "", now_);
  EXPECT_FALSE(two.trips().find("candidate")->fp16_at) << "nobody knows when";
}

TEST_F(TrafficTest, ACandidateWithoutEnginesIsWaitedFor) {
  Traffic traffic("one", [](const std::string& digest) {
    return digest == "candidate" ? Reachable::kNone : Reachable::kYes;
  });
  traffic.remember({});
  traffic.follow(rollout_, now_);
  for (int i = 0; i < 600; ++i) traffic.look_around(now_ += std::chrono::seconds(1));
  EXPECT_TRUE(traffic.trips().all().empty());
}

TEST_F(TrafficTest, AStableRevisionIsStillJudged) {
  rollout_.candidate.clear();
  rollout_.weight = 0;
  rollout_.stable = "stable";
  rollout_.control = 0.05;
  rollout_.backends.push_back({"stable", "m-2", "stable"});
  Traffic traffic = gateway("one");
  for (int i = 0; i < 200; ++i) {
    const auto assignment = traffic.assign(std::to_string(i), "", now_);
    const bool stable = assignment.arm == Arm::kStable;
    traffic.answered(assignment, {stable ? Fault::kNonFinite : Fault::kNone, stable}, now_);
  }
  const Trip* trip = traffic.trips().find("stable");
  ASSERT_NE(trip, nullptr);
  EXPECT_EQ(trip->detected_by, Detector::kCeiling);
  EXPECT_EQ(traffic.assign("x", "", now_).arm, Arm::kFp16);
}

TEST_F(TrafficTest, RequestsThatFailEverywhereAreNoRollback) {
  // Such as a client's whose max_tokens cuts every answer off, before the promotion and after it.
  for (const bool promoted : {false, true}) {
    if (promoted) {
      rollout_.stable = "candidate";
      rollout_.candidate.clear();
      rollout_.weight = 0;
      rollout_.control = 0.05;
    }
    Traffic traffic = gateway("one");
    for (int i = 0; i < 20'000; ++i) {
      const auto assignment = traffic.assign(std::to_string(++next_id_), "", now_);
      traffic.answered(assignment, {Fault::kTruncated, false}, now_);
    }
    EXPECT_TRUE(traffic.trips().all().empty()) << (promoted ? "promoted" : "a canary");
  }
}

TEST_F(TrafficTest, AnExhaustedRetryBudgetTrips) {
  rollout_.weight = 1;
  rollout_.limits.max_error_rate = 0.5;  // what nine in twenty failed answers stay under
  Traffic traffic = gateway("one");
  for (int i = 0; traffic.trips().all().empty() && i < 1'000; ++i) {
    const bool fails = i % 20 < 9;
    traffic.answered(traffic.assign(std::to_string(i), "", now_),
                     {fails ? Fault::kLooping : Fault::kNone, fails}, now_);
  }
  ASSERT_NE(traffic.trips().find("candidate"), nullptr);
  EXPECT_EQ(traffic.trips().find("candidate")->detected_by, Detector::kRetryBudget);
}

}  // namespace
}  // namespace stepdown::gateway
