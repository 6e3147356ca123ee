#include "operator/kube/leader.h"

#include <atomic>
#include <thread>

#include "fake_api.h"
#include <gtest/gtest.h>

namespace stepdown::kube {
namespace {

using std::chrono::seconds;

class LeaderTest : public ::testing::Test {
 protected:
  LeaderElector elector(const std::string& identity) {
    LeaderElector::Options options;
    options.lease = {"n", "operator"};
    options.identity = identity;
    options.now = [this] { return now_; };
    return LeaderElector(client_, options);
  }
  std::string holder() { return text_at(api_.objects.begin()->second, "/spec/holderIdentity"); }

  FakeApi api_;
  LeaderElector::Clock::time_point now_{std::chrono::hours(1)};
  Client client_{std::make_shared<FakeTransport>([this](const HttpRequest& r) { return api_.answer(r); })};
};

TEST_F(LeaderTest, TheFirstLeadsAndRenews) {
  LeaderElector a = elector("a");
  LeaderElector b = elector("b");
  EXPECT_TRUE(a.step());
  for (int i = 0; i < 20; ++i) {
    now_ += seconds(2);
    EXPECT_TRUE(a.step()) << i;
    EXPECT_FALSE(b.step()) << i;
  }
  EXPECT_EQ(holder(), "a");
}

TEST_F(LeaderTest, ASilentLeaderIsReplacedAfterItsLeaseOnOurClock) {
  LeaderElector a = elector("a");
  LeaderElector b = elector("b");
  ASSERT_TRUE(a.step());
  EXPECT_FALSE(b.step());  // b sees it now: its 15 s begin
  now_ += seconds(14);
  EXPECT_FALSE(b.step());
  now_ += seconds(1);
  EXPECT_TRUE(b.step());
  EXPECT_EQ(holder(), "b");
  EXPECT_FALSE(a.step());
}

TEST_F(LeaderTest, OldTimesInTheLeaseMeanNothing) {
  LeaderElector a = elector("a");
  ASSERT_TRUE(a.step());
  api_.objects.begin()->second["spec"]["renewTime"] = "2001-01-01T00:00:00.000000Z";
  EXPECT_FALSE(elector("b").step());
}

TEST_F(LeaderTest, WithoutTheServerLeadershipEndsBeforeTheLeaseDoes) {
  LeaderElector a = elector("a");
  ASSERT_TRUE(a.step());
  api_.down = true;
  now_ += seconds(9);
  EXPECT_TRUE(a.step());
  now_ += seconds(1);
  EXPECT_FALSE(a.step());
  EXPECT_FALSE(a.leading());
}

TEST_F(LeaderTest, ReleaseHandsOverAtOnce) {
  LeaderElector a = elector("a");
  LeaderElector b = elector("b");
  ASSERT_TRUE(a.step());
  ASSERT_FALSE(b.step());
  a.release();
  EXPECT_FALSE(a.leading());
  EXPECT_TRUE(b.step());
}

TEST_F(LeaderTest, RunStopsTheWorkWhenLeadershipIsLost) {
  LeaderElector::Options options;
  options.lease = {"n", "operator"};
  options.identity = "a";
  options.retry_period = std::chrono::milliseconds(5);
  options.renew_deadline = std::chrono::milliseconds(50);
  LeaderElector a(client_, options);
  bool stopped = false;
  const bool kept = a.run({}, [&](const std::stop_token& stop) {
    api_.down = true;
    while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    stopped = true;
  });
  EXPECT_FALSE(kept);
  EXPECT_TRUE(stopped);
}

}  // namespace
}  // namespace stepdown::kube
