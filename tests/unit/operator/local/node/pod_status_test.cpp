#include "operator/local/node/pod_status.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/kube/object.h"
#include "operator/local/node/pod_runner.h"

namespace stepdown::local {
namespace {

using nlohmann::json;
using Kind = ContainerState::Kind;

ContainerView view(Kind kind, int exit_code = 0, bool ready = false) {
  ContainerView result;
  result.name = "c";
  result.image = "stepdown/engine";
  result.state.kind = kind;
  result.state.attempt = kind == Kind::kNone ? -1 : 0;
  result.state.exit_code = exit_code;
  result.state.reason = exit_code == 0 ? "Completed" : "Error";
  result.ready = ready;
  return result;
}

PodView pod(RestartPolicy policy, std::vector<ContainerView> containers,
            std::vector<ContainerView> init = {}) {
  PodView result;
  result.ip = "127.1.2.3";
  result.restart_policy = policy;
  result.containers = std::move(containers);
  result.init_containers = std::move(init);
  return result;
}

TEST(PhaseOf, Table) {
  struct Case {
    const char* name;
    PodView view;
    PodPhase phase;
  };
  PodView stopped = pod(RestartPolicy::kAlways, {view(Kind::kExited, 0)});
  stopped.terminating = true;
  for (const Case& c : {
           Case{"nothing yet", pod(RestartPolicy::kNever, {view(Kind::kNone)}), PodPhase::kPending},
           Case{"runs", pod(RestartPolicy::kNever, {view(Kind::kRunning)}), PodPhase::kRunning},
           Case{"succeeded", pod(RestartPolicy::kNever, {view(Kind::kExited, 0)}), PodPhase::kSucceeded},
           Case{"failed", pod(RestartPolicy::kNever, {view(Kind::kExited, 1)}), PodPhase::kFailed},
           Case{"one of two still runs",
                pod(RestartPolicy::kNever, {view(Kind::kExited, 1), view(Kind::kRunning)}),
                PodPhase::kRunning},
           Case{"restarts for ever", pod(RestartPolicy::kAlways, {view(Kind::kExited, 0)}),
                PodPhase::kRunning},
           Case{"ended while it is deleted", stopped, PodPhase::kSucceeded},
           Case{"init runs", pod(RestartPolicy::kNever, {view(Kind::kNone)}, {view(Kind::kRunning)}),
                PodPhase::kPending},
           Case{"init failed", pod(RestartPolicy::kNever, {view(Kind::kNone)}, {view(Kind::kExited, 3)}),
                PodPhase::kFailed},
           Case{"init will be tried again",
                pod(RestartPolicy::kAlways, {view(Kind::kNone)}, {view(Kind::kExited, 3)}),
                PodPhase::kPending},
       }) {
    EXPECT_EQ(phase_of(c.view), c.phase) << c.name;
  }
}

TEST(PodStatus, CarriesTheTerminationMessage) {
  PodView done = pod(RestartPolicy::kNever, {view(Kind::kExited, 0)});
  done.containers[0].state.message = R"({"digest": "sha256:1"})";
  const json status = pod_status(done, {}, "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
  EXPECT_EQ(status["phase"], "Succeeded");
  EXPECT_EQ(kube::text_at(status, "/containerStatuses/0/state/terminated/message"),
            R"({"digest": "sha256:1"})");
}

TEST(PodStatus, AConditionKeepsItsTimeUntilItTurns) {
  const PodView ready = pod(RestartPolicy::kAlways, {view(Kind::kRunning, 0, true)});
  const json first = pod_status(ready, {}, "s", "t1");
  const json again = pod_status(ready, first, "s", "t2");
  EXPECT_EQ(again, first);
  PodView unready = ready;
  unready.containers[0].ready = false;
  const json turned = pod_status(unready, first, "s", "t2");
  for (const json& condition : turned["conditions"]) {
    const bool turns = condition["type"] == "Ready" || condition["type"] == "ContainersReady";
    EXPECT_EQ(condition["lastTransitionTime"], turns ? "t2" : "t1") << condition["type"];
  }
}

TEST(PodStatus, ShowsWhyAContainerWaits) {
  PodView crashing = pod(RestartPolicy::kAlways, {view(Kind::kExited, 1)});
  crashing.containers[0].waiting_reason = "CrashLoopBackOff";
  const json status = pod_status(crashing, {}, "s", "t");
  EXPECT_EQ(kube::text_at(status, "/containerStatuses/0/state/waiting/reason"), "CrashLoopBackOff");
  EXPECT_EQ(kube::integer_at(status, "/containerStatuses/0/lastState/terminated/exitCode", 0), 1);
}

TEST(RestartDelay, DoublesAndForgets) {
  using std::chrono::seconds;
  EXPECT_EQ(restart_delay(0, seconds(0)), seconds(0));
  EXPECT_EQ(restart_delay(1, seconds(0)), seconds(1));
  EXPECT_EQ(restart_delay(4, seconds(0)), seconds(8));
  EXPECT_EQ(restart_delay(50, seconds(0)), seconds(60));
  EXPECT_EQ(restart_delay(50, seconds(600)), seconds(0));
  EXPECT_TRUE(should_restart(RestartPolicy::kAlways, 0));
  EXPECT_FALSE(should_restart(RestartPolicy::kOnFailure, 0));
  EXPECT_FALSE(should_restart(RestartPolicy::kNever, 1));
}

}  // namespace
}  // namespace stepdown::local
