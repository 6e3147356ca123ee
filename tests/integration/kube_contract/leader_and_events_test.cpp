// Leases and Events as the API server stores them.
#include <atomic>

#include "fixture.h"

#include "operator/kube/events.h"
#include "operator/kube/leader.h"

namespace stepdown::kube::contract {
namespace {

class LeasesAndEvents : public Contract {
 protected:
  static LeaderElector::Options elector(const std::string& identity) {
    LeaderElector::Options options;
    options.lease = {ns_name(), "operator"};
    options.identity = identity;
    options.duration = std::chrono::milliseconds(2000);
    options.renew_deadline = std::chrono::milliseconds(1500);
    options.retry_period = std::chrono::milliseconds(100);
    return options;
  }
  static std::string holder() {
    return text_at(client().get(resources::kLeases, {ns_name(), "operator"}).value(), "/spec/holderIdentity");
  }
};

TEST_F(LeasesAndEvents, OneLeadsAndReleaseHandsOverAtOnce) {
  LeaderElector first(client(), elector("first"));
  LeaderElector second(client(), elector("second"));
  EXPECT_TRUE(first.step());
  EXPECT_FALSE(second.step());
  EXPECT_EQ(holder(), "first");
  EXPECT_TRUE(first.step()) << "renewed";
  first.release();
  EXPECT_TRUE(second.step());
  EXPECT_EQ(holder(), "second");
  EXPECT_FALSE(first.step());
  EXPECT_EQ(integer_at(client().get(resources::kLeases, {ns_name(), "operator"}).value(),
                       "/spec/leaseTransitions", 0),
            1);
}

TEST_F(LeasesAndEvents, ADeadLeaderIsReplacedAfterItsLease) {
  {
    LeaderElector dead(client(), elector("dead"));
    ASSERT_TRUE(dead.step());
  }  // it never releases
  std::atomic<bool> led = false;
  LeaderElector next(client(), elector("next"));
  std::stop_source stop;
  std::jthread run([&] {
    EXPECT_TRUE(next.run(stop.get_token(), [&](const std::stop_token& work) {
      led = true;
      while (!work.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }));
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  EXPECT_FALSE(led) << "the dead leader's lease still runs";
  EXPECT_TRUE(eventually([&] { return led.load(); }));
  stop.request_stop();
  run.join();
  EXPECT_EQ(holder(), "") << "released";
}

TEST_F(LeasesAndEvents, RepeatedEventsAreOneSeries) {
  const json object = *client().create(resources::kConfigMaps, config_map("subject"));
  EventRecorder recorder(client(), "stepdown.dev/contract", "test-1");
  for (int i = 0; i < 3; ++i) recorder.warning(object, "Promote", "TooSlow", "p99 is 3 s");
  recorder.normal(object, "Promote", "Promoted", "weight 100 %");
  ListOptions options;
  options.ns = ns_name();
  options.field_selector = "reportingController=stepdown.dev/contract";
  const auto events = client().list_all(resources::kEvents, options);
  ASSERT_TRUE(events) << events.error().text();
  ASSERT_EQ(events->size(), 2U);
  for (const json& event : *events) {
    EXPECT_EQ(text_at(event, "/regarding/name"), "subject");
    EXPECT_EQ(text_at(event, "/regarding/uid"), uid_of(object));
    // The third of three falls into the 10 s in which a series is not written again.
    EXPECT_EQ(integer_at(event, "/series/count", 0), text_at(event, "/type") == "Warning" ? 2 : 0);
  }
}

}  // namespace
}  // namespace stepdown::kube::contract
