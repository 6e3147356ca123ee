#include "operator/local/node/job_decision.h"

#include <gtest/gtest.h>

#include "operator/kube/time.h"

namespace stepdown::local {
namespace {

using nlohmann::json;
using std::chrono::seconds;

const WallClock::time_point kNow = *kube::parse_time("2026-01-01T12:00:00Z");

json job(const json& spec = json::object()) {
  json object =
      json::parse(R"({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"namespace": "n", "name": "j"},
      "spec": {"backoffLimit": 2, "completions": 1, "parallelism": 1},
      "status": {"startTime": "2026-01-01T11:59:00Z"}})");
  object["spec"].update(spec);
  return object;
}

kube::ObjectPtr pod(const std::string& name, const std::string& phase, int exit_code = 0,
                    const std::string& finished = "2026-01-01T11:59:30Z") {
  json object = {{"metadata", {{"namespace", "n"}, {"name", name}}}, {"status", {{"phase", phase}}}};
  if (phase == "Failed" || phase == "Succeeded") {
    object["status"]["containerStatuses"] = {
        {{"name", "c"}, {"state", {{"terminated", {{"exitCode", exit_code}, {"finishedAt", finished}}}}}}};
  }
  return std::make_shared<json>(object);
}

kube::ObjectPtr leaving(const std::string& name) {
  json object = *pod(name, "Running");
  object["metadata"]["deletionTimestamp"] = "2026-01-01T11:59:50Z";
  return std::make_shared<json>(object);
}

std::string condition(const JobDecision& decision, const std::string& type) {
  for (const json& condition : kube::value_at(decision.status, "/conditions")) {
    if (condition["type"] == type) return condition["reason"];
  }
  return "";
}

struct Case {
  const char* name;
  json spec;
  std::vector<kube::ObjectPtr> pods;
  std::vector<std::string> create;
  std::vector<std::string> remove;
  std::string complete;  ///< the reason of the condition
  std::string failed;
};

TEST(DecideJob, Table) {
  const json fail_on_two = {
      {"podFailurePolicy",
       {{"rules", {{{"action", "FailJob"}, {"onExitCodes", {{"operator", "In"}, {"values", {2}}}}}}}}}};
  const json ignore_137 = {
      {"backoffLimit", 0},
      {"podFailurePolicy",
       {{"rules", {{{"action", "Ignore"}, {"onExitCodes", {{"operator", "In"}, {"values", {137}}}}}}}}}};
  const std::vector<Case> cases = {
      {"starts", {}, {}, {"j-0"}, {}, "", ""},
      {"waits for its pod", {}, {pod("j-0", "Running")}, {}, {}, "", ""},
      {"completes", {}, {pod("j-0", "Succeeded")}, {}, {}, "CompletionsReached", ""},
      {"tries again after a failure", {}, {pod("j-0", "Failed", 1)}, {"j-1"}, {}, "", ""},
      {"backs off after a fresh failure",
       {},
       {pod("j-0", "Failed", 1, "2026-01-01T12:00:00Z")},
       {},
       {},
       "",
       ""},
      {"a success after failures",
       {},
       {pod("j-0", "Failed", 1), pod("j-1", "Succeeded")},
       {},
       {},
       "CompletionsReached",
       ""},
      {"gives up",
       {},
       {pod("j-0", "Failed", 1), pod("j-1", "Failed", 1), pod("j-2", "Failed", 1)},
       {},
       {},
       "",
       "BackoffLimitExceeded"},
      {"a fatal exit code", fail_on_two, {pod("j-0", "Failed", 2)}, {}, {}, "", "PodFailurePolicy"},
      {"another exit code", fail_on_two, {pod("j-0", "Failed", 1)}, {"j-1"}, {}, "", ""},
      {"ignored failures count for nothing", ignore_137, {pod("j-0", "Failed", 137)}, {"j-1"}, {}, "", ""},
      {"out of time, its pod still runs",
       {{"activeDeadlineSeconds", 60}},
       {pod("j-0", "Running")},
       {},
       {"j-0"},
       "",
       ""},
      {"out of time, its pod is gone", {{"activeDeadlineSeconds", 60}}, {}, {}, {}, "", "DeadlineExceeded"},
      {"suspended", {{"suspend", true}}, {pod("j-0", "Running")}, {}, {"j-0"}, "", ""},
      {"waits for a leaving pod", {}, {leaving("j-0")}, {}, {}, "", ""},
  };
  for (const Case& c : cases) {
    const JobDecision decision = decide_job(job(c.spec.is_null() ? json::object() : c.spec), c.pods, kNow);
    EXPECT_EQ(decision.create, c.create) << c.name;
    EXPECT_EQ(decision.remove, c.remove) << c.name;
    EXPECT_EQ(condition(decision, "Complete"), c.complete) << c.name;
    EXPECT_EQ(condition(decision, "Failed"), c.failed) << c.name;
    EXPECT_FALSE(decision.remove_job) << c.name;
  }
}

TEST(DecideJob, FailuresOfDeletedPodsStillCount) {
  json counted = job();
  counted["status"]["failed"] = 3;
  const JobDecision decision = decide_job(counted, {}, kNow);
  EXPECT_EQ(condition(decision, "Failed"), "BackoffLimitExceeded");
}

TEST(DecideJob, BackoffSaysWhenToLookAgain) {
  const JobDecision decision = decide_job(job(), {pod("j-0", "Failed", 1, "2026-01-01T12:00:00Z")}, kNow);
  EXPECT_EQ(decision.look_again, std::chrono::milliseconds(1000));
}

TEST(DecideJob, AFinishedJobIsLeftAloneUntilItsTimeIsOver) {
  json done = job({{"ttlSecondsAfterFinished", 30}});
  done["status"] = decide_job(done, {pod("j-0", "Succeeded")}, kNow).status;
  const JobDecision early = decide_job(done, {}, kNow + seconds(10));
  EXPECT_FALSE(early.remove_job);
  EXPECT_TRUE(early.create.empty());
  EXPECT_EQ(early.status, done["status"]);
  EXPECT_EQ(early.look_again, std::chrono::milliseconds(20'000));
  EXPECT_TRUE(decide_job(done, {}, kNow + seconds(30)).remove_job);
}

TEST(DecideJob, DecidingTwiceChangesNothing) {
  json once = job();
  const std::vector<kube::ObjectPtr> pods = {pod("j-0", "Failed", 1), pod("j-1", "Running")};
  once["status"] = decide_job(once, pods, kNow).status;
  EXPECT_EQ(decide_job(once, pods, kNow + seconds(5)).status, once["status"]);
}

TEST(DecideJob, MakesNoMorePodsAtOnceThanAClusterDoes) {
  const JobDecision decision =
      decide_job(job({{"completions", 2'000'000'000}, {"parallelism", 2'000'000'000}}), {}, kNow);
  EXPECT_EQ(decision.create.size(), 500U);
  EXPECT_EQ(decision.status["active"], 500);
}

}  // namespace
}  // namespace stepdown::local
