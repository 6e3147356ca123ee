#include "operator/gateway/verdict/slow_answers.h"

#include <cmath>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "operator/gateway/verdict/tests.h"

namespace stepdown::gateway {
namespace {

using std::chrono::duration;
using std::chrono::seconds;

// Requests at a steady rate, each to the candidate with probability w. Latencies are log-normal around 200
// ms.
struct World {
  double w = 0.25;
  double per_second = 20;
  double spread = 0.5;                                            // of the logarithm
  double candidate = 1;                                           // times FP16's latency
  std::function<double(double second, bool of_candidate)> stall;  // times the latency
};

struct End {
  bool tripped = false;
  int candidate_answers = 0;
  double seconds = 0;
  Evidence evidence;
};

End simulate(const World& world, int requests, unsigned seed) {
  const Limits limits;
  const Tests tests(limits);
  SlowAnswers slow(limits.latency_p99_ratio);
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<> uniform;
  std::lognormal_distribution<> latency(std::log(200), world.spread);
  End end;
  end.evidence = tests.start();
  for (int i = 0; i < requests && !end.tripped; ++i) {
    end.seconds = i / world.per_second;
    const bool candidate = uniform(random) < world.w;
    double ms = latency(random) * (candidate ? world.candidate : 1);
    if (world.stall) ms *= world.stall(end.seconds, candidate);
    end.candidate_answers += candidate ? 1 : 0;
    const auto now = SlowAnswers::Time(
        std::chrono::duration_cast<SlowAnswers::Time::duration>(duration<double>(end.seconds)));
    if (const auto drawn = slow.add(candidate, ms, world.w, now)) {
      tests.slow_answer(end.evidence, drawn->of_candidate, drawn->w);
      end.tripped = tests.decide(end.evidence).has_value();
    }
  }
  return end;
}

TEST(SlowAnswersTest, NoTripInAHundredThousandHealthyAnswers) {
  for (const double times : {0.5, 1.0, 1.5}) {
    const End end = simulate({.candidate = times}, 400'000, 11);
    EXPECT_FALSE(end.tripped) << times << " times FP16's latency, after " << end.candidate_answers;
    EXPECT_GE(end.candidate_answers, 99'000);
    EXPECT_GT(end.evidence.slow_control, 100U) << "there was something to see";
  }
}

TEST(SlowAnswersTest, StallsOfBothArmsAndHeavyTailsAreNoVerdict) {
  const auto shared = [](double second, bool) { return std::fmod(second, 60) < 3 ? 10.0 : 1.0; };
  int trips = 0;
  for (unsigned seed = 0; seed < 100; ++seed) {
    trips += simulate({.w = 0.05, .stall = shared}, 20'000, seed).tripped ? 1 : 0;
    trips += simulate({.w = 0.5, .spread = 1.5, .stall = shared}, 20'000, seed).tripped ? 1 : 0;
  }
  EXPECT_EQ(trips, 0);
}

TEST(SlowAnswersTest, OneStallOfTheCandidateIsOneEvent) {
  const auto stall = [](double second, bool of_candidate) {
    return of_candidate && second > 200 && second < 205 ? 50.0 : 1.0;
  };
  int trips = 0;
  for (unsigned seed = 0; seed < 33; ++seed) {
    for (const double w : {0.05, 0.25, 0.5}) {
      trips += simulate({.w = w, .per_second = 100, .stall = stall}, 40'000, seed).tripped ? 1 : 0;
    }
  }
  EXPECT_LE(trips, 1);
}

TEST(SlowAnswersTest, AtTheAllowedRatioFalseAlarmsStayUnderAlpha) {
  int trips = 0;
  for (unsigned seed = 0; seed < 100; ++seed) {
    trips += simulate({.w = 0.1, .candidate = 2}, 20'000, seed).tripped ? 1 : 0;
  }
  EXPECT_LE(trips, 1);
}

// As ARCHITECTURE.md states it.
TEST(SlowAnswersTest, ACandidateThreeTimesSlowerTrips) {
  struct Case {
    double w, spread;
    int answers;  // of the candidate, in 95 of 100 runs
  };
  for (const Case& c :
       {Case{0.05, 0.3, 500}, Case{0.25, 0.3, 1'500}, Case{0.25, 0.5, 4'000}, Case{0.5, 0.3, 3'000}}) {
    int in_time = 0;
    for (unsigned seed = 0; seed < 100; ++seed) {
      const End end = simulate({.w = c.w, .spread = c.spread, .candidate = 3}, 40'000, seed);
      in_time += end.tripped && end.candidate_answers <= c.answers ? 1 : 0;
    }
    EXPECT_GE(in_time, 95) << "w " << c.w << ", spread " << c.spread;
  }
}

TEST(SlowAnswersTest, NothingIsSlowBeforeTheControlIsKnown) {
  SlowAnswers slow(2);
  for (int i = 0; i < 99; ++i) slow.add(false, 100, 0.5, SlowAnswers::Time(seconds(i)));
  EXPECT_FALSE(slow.control_p99());
  for (int i = 99; i < 200; ++i) {
    EXPECT_FALSE(slow.add(true, 1e6, 0.5, SlowAnswers::Time(seconds(i))));
  }
}

}  // namespace
}  // namespace stepdown::gateway
