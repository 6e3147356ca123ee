#include "operator/gateway/verdict/tests.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

// One simulated run of traffic: each request goes to the candidate with probability w.
struct World {
  double w = 0.1;
  double candidate_fails = 0;
  double control_fails = 0;
  double both_fail = 0;  // a request that breaks on every variant, FP16 retry included
};

struct End {
  std::optional<Detector> tripped;
  int bad_answers = 0;
  int candidate_answers = 0;
};

End simulate(const Tests& tests, const World& world, int requests, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<> uniform;
  Evidence evidence = tests.start();
  End end;
  for (int i = 0; i < requests && !end.tripped; ++i) {
    const bool hard = uniform(random) < world.both_fail;
    if (uniform(random) < world.w) {
      const bool failed = hard || uniform(random) < world.candidate_fails;
      const bool fp16_passed = !hard && uniform(random) >= world.control_fails;
      ++end.candidate_answers;
      end.bad_answers += failed ? 1 : 0;
      tests.candidate_answered(evidence, {failed, fp16_passed}, world.w);
    } else {
      tests.control_answered(evidence, hard || uniform(random) < world.control_fails, world.w);
    }
    end.tripped = tests.decide(evidence);
  }
  return end;
}

int trips_of(const World& world, int runs, int requests) {
  const Tests tests{Limits{}};
  int trips = 0;
  for (int run = 0; run < runs; ++run) trips += simulate(tests, world, requests, 1000 + run).tripped ? 1 : 0;
  return trips;
}

TEST(VerdictTest, NoRollbackInAHundredThousandHealthyAnswers) {
  const Tests tests{Limits{}};
  for (const double error_rate : {0.0, 0.001, 0.005, 0.01}) {
    const World healthy{.w = 0.25, .candidate_fails = error_rate, .control_fails = error_rate};
    const End end = simulate(tests, healthy, 400'000, 7);
    EXPECT_FALSE(end.tripped) << "at error rate " << error_rate << " after " << end.candidate_answers;
    EXPECT_GE(end.candidate_answers, 99'000);
  }
}

TEST(VerdictTest, NoRollbackWhenBothVariantsFailAlike) {
  for (const double rate : {0.05, 0.5, 1.0}) {
    const World outage{.w = 0.1, .both_fail = rate};
    EXPECT_LE(trips_of(outage, 100, 5'000), 2) << "requests that break everywhere: " << rate;
  }
}

TEST(VerdictTest, NoRollbackWhenBothVariantsFailByChance) {
  for (const double w : {0.05, 0.25, 0.5}) {
    for (const double rate : {0.03, 0.05, 0.1, 0.2, 0.5}) {
      const World chance{.w = w, .candidate_fails = rate, .control_fails = rate};
      EXPECT_LE(trips_of(chance, 100, 5'000), 3) << "w " << w << ", both failing " << rate;
    }
  }
}

TEST(VerdictTest, NoRollbackWhenARequestThatFailsEverywhereIsRepeatedUnderItsId) {
  const Tests tests{Limits{}};
  std::mt19937_64 random(11);
  std::uniform_real_distribution<> uniform;
  for (const double w : {0.05, 0.25, 0.95}) {
    Evidence evidence = tests.start();
    for (int request = 0; request < 1'000; ++request) {
      const bool of_candidate = uniform(random) < w;
      const bool hard = request % 100 == 0;
      for (int repeat = 0; repeat < (hard ? 20 : 1); ++repeat) {
        if (of_candidate) {
          tests.candidate_answered(evidence, {hard, false}, w);
        } else {
          tests.control_answered(evidence, hard, w);
        }
      }
    }
    EXPECT_FALSE(tests.decide(evidence)) << "w " << w;
  }
}

TEST(VerdictTest, FalseAlarmsStayUnderAlphaWheneverOneLooks) {
  // The least favourable healthy candidate: 1.5 times the control's rate, looked at after each answer.
  EXPECT_LE(trips_of({.w = 0.1, .candidate_fails = 0.015, .control_fails = 0.01}, 400, 10'000), 8);
  EXPECT_LE(trips_of({.w = 0.5, .candidate_fails = 0.015, .control_fails = 0.01}, 400, 10'000), 8);
  // With no control at all the ceiling stands alone, at its bound.
  EXPECT_LE(trips_of({.w = 1, .candidate_fails = 0.02}, 400, 10'000), 8);
}

TEST(VerdictTest, ABadArtifactTripsByItsTenthBadAnswer) {
  const Tests tests{Limits{}};
  for (const double w : {0.01, 0.05, 0.1, 0.25, 0.5, 1.0}) {
    for (const double rate : {0.5, 0.75, 1.0}) {
      int in_time = 0;
      for (int run = 0; run < 100; ++run) {
        const World bad{.w = w, .candidate_fails = rate, .control_fails = 0.005};
        const End end = simulate(tests, bad, 100'000, 40 + run);
        in_time += end.tripped && end.bad_answers <= 10 ? 1 : 0;
      }
      EXPECT_GE(in_time, 95) << "w " << w << ", failing " << rate;
    }
  }
}

TEST(VerdictTest, OneOrTwoCrashesOfAHealthyCandidateAreNoVerdict) {
  const Tests tests{Limits{}};
  for (const double w : {0.05, 0.25, 0.5, 1.0}) {
    Evidence evidence = tests.start();
    tests.candidate_answered(evidence, {true, true}, w);
    EXPECT_FALSE(tests.decide(evidence)) << "first answer, w " << w;
    for (int i = 0; i < 50; ++i) tests.candidate_answered(evidence, {}, w);
    tests.candidate_answered(evidence, {true, true}, w);
    EXPECT_FALSE(tests.decide(evidence)) << "second after 50 good ones, w " << w;
  }
}

TEST(VerdictTest, BadLuckInTheFirstAnswersTripsAHealthyCandidateNoMoreOftenThanAllowed) {
  // Two failures in the first two answers do trip: that has a chance of 0.04 % at the ceiling of 2 %.
  const Tests tests{Limits{}};
  for (const double w : {0.05, 1.0}) {
    int trips = 0;
    for (int run = 0; run < 5'000; ++run) {
      const World worst{.w = w, .candidate_fails = 0.02, .control_fails = 0.02};
      trips += simulate(tests, worst, w < 1 ? 400 : 20, 5'000 + run).tripped ? 1 : 0;
    }
    EXPECT_LE(trips, 50) << "of 5,000 at alpha 1 %, w " << w;
  }
}

TEST(VerdictTest, TheCeilingSeesWhatTheArmTestCannotAtWeightOneHundred) {
  const Tests tests{Limits{}};
  const End end = simulate(tests, {.w = 1, .candidate_fails = 0.5}, 1'000, 3);
  ASSERT_TRUE(end.tripped);
  EXPECT_EQ(*end.tripped, Detector::kCeiling);
}

TEST(VerdictTest, ShadowTripsOnDisagreementAboveTheLimitOnly) {
  const Tests tests{Limits{.max_disagreement = 0.1}};
  std::mt19937_64 random(5);
  std::uniform_real_distribution<> uniform;
  int trips = 0;
  for (int run = 0; run < 200; ++run) {
    Evidence evidence = tests.start();
    bool tripped = false;
    for (int pair = 0; pair < 2'000 && !tripped; ++pair) {
      tests.shadow_compared(evidence, 0.2 * uniform(random));  // mean at the limit
      tripped = tests.decide(evidence).has_value();
    }
    trips += tripped ? 1 : 0;
  }
  EXPECT_LE(trips, 4);

  Evidence wrong = tests.start();
  int pairs = 0;
  while (!tests.decide(wrong) && pairs < 1'000) {
    tests.shadow_compared(wrong, 0.3 + 0.4 * uniform(random));
    ++pairs;
  }
  EXPECT_EQ(tests.decide(wrong), Detector::kShadow);
  EXPECT_LE(pairs, 12);
}

TEST(VerdictTest, EvidenceOfSeveralGatewaysAddsToThatOfOne) {
  const Tests tests{Limits{}};
  Evidence whole = tests.start();
  std::vector<Evidence> parts(3, tests.start());
  for (int i = 0; i < 300; ++i) {
    const bool failed = i % 40 == 0;
    const double w = i < 150 ? 0.05 : 0.25;
    for (Evidence* evidence : {&whole, &parts[static_cast<std::size_t>(i) % 3]}) {
      if (i % 4 == 0) {
        tests.candidate_answered(*evidence, {failed, failed}, w);
      } else {
        tests.control_answered(*evidence, failed, w);
      }
    }
  }
  Evidence sum = parts[0];
  sum.add(parts[1]);
  sum.add(evidence_from_json(nlohmann::json::parse(to_json(parts[2]).dump())).value());
  EXPECT_NEAR(log_mixture(sum.arm), log_mixture(whole.arm), 1e-9);
  // Each gateway knows the control by its own answers alone, and raises its ceiling the more for it.
  EXPECT_LE(log_mixture(sum.ceiling), log_mixture(whole.ceiling));
  EXPECT_EQ(sum.candidate_answers, whole.candidate_answers);
  EXPECT_EQ(sum.candidate_errors, whole.candidate_errors);
}

TEST(VerdictTest, EvidenceThatIsNoneIsRefused) {
  for (const char* text : {"null", "[]", "{}", R"({"arm":[1],"ceiling":["x"],"shadow":[]})",
                           R"({"arm":[],"ceiling":[],"shadow":[],"candidateAnswers":-1})"}) {
    EXPECT_FALSE(evidence_from_json(nlohmann::json::parse(text))) << text;
  }
}

}  // namespace
}  // namespace stepdown::gateway
