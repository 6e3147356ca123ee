#include "engine/server/heartbeat.h"

#include <gtest/gtest.h>

namespace stepdown::server {
namespace {

using namespace std::chrono_literals;

TEST(HeartbeatPause, IdlenessCostsHalfAPercentWhateverTheModel) {
  EXPECT_EQ(heartbeat_pause(0s), 2s);
  EXPECT_EQ(heartbeat_pause(6ms), 2s);  // 320 M weights of four bits
  EXPECT_EQ(heartbeat_pause(200ms), 40s);
  EXPECT_EQ(heartbeat_pause(2s), 400s);
}

}  // namespace
}  // namespace stepdown::server
