#include "operator/gateway/upstream/fleet.h"

#include <gtest/gtest.h>

namespace stepdown::gateway {
namespace {

const Address kA{"10.0.0.1", 80};
const Address kB{"10.0.0.2", 80};

SteadyTime at(int ms) {
  return SteadyTime(std::chrono::milliseconds(ms));
}

TEST(FleetTest, PicksTheLeastBusyHealthyEndpoint) {
  Fleet fleet;
  EXPECT_FALSE(fleet.pick({}, true));
  fleet.set_addresses({kA, kB});
  fleet.started(kA);
  EXPECT_EQ(fleet.pick({}, false), kB);
  EXPECT_EQ(fleet.pick({kB}, false), kA);
  fleet.started(kB);
  fleet.started(kB);
  EXPECT_EQ(fleet.pick({}, false), kA);
  EXPECT_FALSE(fleet.pick({kA, kB}, true));
}

TEST(FleetTest, OneCrashIsOneIncident) {
  Fleet fleet;
  fleet.set_addresses({kA});
  EXPECT_TRUE(fleet.failed(kA, at(10), at(100)));
  for (int sent = 0; sent < 100; sent += 10) {
    EXPECT_FALSE(fleet.failed(kA, at(sent), at(101))) << "was under way when it crashed";
  }
  EXPECT_FALSE(fleet.healthy());
  EXPECT_FALSE(fleet.pick({}, false));
  EXPECT_EQ(fleet.pick({}, true), kA) << "the last resort";
  fleet.recovered(kA);
  EXPECT_TRUE(fleet.healthy());
  EXPECT_TRUE(fleet.failed(kA, at(200), at(201))) << "a second crash";
}

TEST(FleetTest, ARefusalBeforeTheFirstAnswerIsNoIncident) {
  Fleet fleet;
  fleet.set_addresses({kA});
  EXPECT_FALSE(fleet.failed(kA, at(1), at(2), true)) << "listed before it listened";
  EXPECT_FALSE(fleet.healthy());
  fleet.recovered(kA);
  EXPECT_TRUE(fleet.failed(kA, at(10), at(11), true)) << "it answered a probe, and is gone again";

  fleet.set_addresses({kB});
  EXPECT_TRUE(fleet.failed(kB, at(1), at(2))) << "it took the request and broke off";
}

TEST(FleetTest, EndpointsKeepTheirStateWhenOthersComeAndGo) {
  Fleet fleet;
  fleet.set_addresses({kA});
  fleet.failed(kA, at(1), at(2));
  fleet.started(kA);
  fleet.set_addresses({kB, kA});
  EXPECT_EQ(fleet.apart(), std::vector<Address>{kA});
  EXPECT_EQ(fleet.outstanding(), 1U);
  EXPECT_EQ(fleet.pick({}, false), kB);
  fleet.set_addresses({kB});
  fleet.ended(kA);
  EXPECT_FALSE(fleet.failed(kA, at(5), at(6))) << "a pod that left the Service is no error";
}

}  // namespace
}  // namespace stepdown::gateway
