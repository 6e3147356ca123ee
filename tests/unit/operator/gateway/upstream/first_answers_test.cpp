// A healthy canary whose pods are listed a moment before they listen, over the fleet and the verdict
// together.
#include <random>

#include <gtest/gtest.h>

#include "operator/gateway/route/traffic.h"
#include "operator/gateway/upstream/fleet.h"

namespace stepdown::gateway {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

struct Canary {
  double fails = 0.005;      // of its answers, at random
  int listens_after_ms = 0;  // each pod refuses connections until then
  std::size_t pods = 2;
};

// Whether it trips within a minute of 50 requests a second at a weight of 25 %.
bool trips(const Canary& canary, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<> uniform;
  Fleet fleet;
  std::vector<Address> pods;
  for (std::size_t i = 0; i < canary.pods; ++i) pods.push_back({"10.0.0." + std::to_string(i), 80});
  fleet.set_addresses(pods);
  Traffic traffic("one", [&](const std::string& digest) {
    return digest == "base" || fleet.healthy() ? Reachable::kYes : Reachable::kNo;
  });
  Rollout rollout;
  rollout.candidate = "candidate";
  rollout.weight = 0.25;
  rollout.salt = std::to_string(seed);
  rollout.stable = "base";
  rollout.backends = {{"base", "m-fp16", "fp16"}, {"candidate", "m-1", "candidate"}};
  traffic.remember({});
  traffic.follow(rollout, WallTime{});

  for (int ms = 0; ms < 60'000 && traffic.trips().all().empty(); ms += 20) {
    const WallTime wall{milliseconds(ms)};
    const SteadyTime now{milliseconds(ms)};
    const bool listening = ms >= canary.listens_after_ms;
    if (ms % 200 == 0 && listening) {
      for (const Address& pod : fleet.apart()) fleet.recovered(pod);
    }
    traffic.look_around(wall);
    const auto assignment = traffic.assign(std::to_string(ms), "", wall);
    if (assignment.arm != Arm::kCandidate) {
      traffic.answered(assignment, {uniform(random) < canary.fails ? Fault::kEmpty : Fault::kNone}, wall);
      continue;
    }
    bool counts = false, answered = false;
    std::vector<Address> tried;
    while (const auto pod = fleet.pick(tried, tried.empty())) {
      tried.push_back(*pod);
      if (listening) {
        fleet.answered(*pod);
        answered = true;
        break;
      }
      counts = fleet.failed(*pod, now, now, true) || counts;
    }
    if (answered) {
      const Fault fault = uniform(random) < canary.fails ? Fault::kEmpty : Fault::kNone;
      traffic.answered(assignment, {fault, true}, wall);
    } else if (counts) {
      traffic.answered(assignment, {Fault::kConnection, true}, wall);
    }
  }
  return !traffic.trips().all().empty();
}

TEST(FirstAnswersTest, PodsListedBeforeTheyListenTripNoHealthyCanary) {
  int tripped = 0;
  for (unsigned seed = 0; seed < 100; ++seed) {
    tripped += trips({.listens_after_ms = static_cast<int>(seed * 50)}, seed) ? 1 : 0;
  }
  EXPECT_LE(tripped, 1) << "of 100, at alpha 1 %";
}

TEST(FirstAnswersTest, ABrokenCanaryStillTrips) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    EXPECT_TRUE(trips({.fails = 0.5, .listens_after_ms = 2'000}, seed));
  }
}

}  // namespace
}  // namespace stepdown::gateway
