#include "operator/controller/gather.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/rollout/sources.h"

namespace stepdown::controller {
namespace {

using nlohmann::json;

kube::ObjectPtr object(const char* text) {
  return std::make_shared<const json>(json::parse(text));
}

json deployment(std::int64_t generation, const char* status) {
  return {
      {"metadata",
       {{"name", "d"}, {"generation", generation}, {"annotations", {{"stepdown.dev/applied-hash", "h"}}}}},
      {"spec", {{"replicas", 2}}},
      {"status", json::parse(status)}};
}

struct DeploymentCase {
  const char* name;
  std::int64_t generation;
  const char* status;
  bool settled;
  std::int64_t available;
};

TEST(ReadDeployment, IsSettledOnlyOnItsOwnPodsOfThisGeneration) {
  const DeploymentCase cases[] = {
      {"settled", 3, R"({"observedGeneration":3,"replicas":2,"updatedReplicas":2,"availableReplicas":2})",
       true, 2},
      {"no status", 1, R"({})", false, 0},
      {"an old generation", 3,
       R"({"observedGeneration":2,"replicas":2,"updatedReplicas":2,"availableReplicas":2})", false, 2},
      {"old pods still run", 3,
       R"({"observedGeneration":3,"replicas":3,"updatedReplicas":2,"availableReplicas":3})", false, 3},
      {"new pods not available", 3,
       R"({"observedGeneration":3,"replicas":2,"updatedReplicas":2,"availableReplicas":1})", false, 1},
      {"strange types", 3, R"({"observedGeneration":"3","replicas":[],"conditions":{}})", false, 0},
  };
  for (const DeploymentCase& test : cases) {
    const rollout::Deployment read = read_deployment(deployment(test.generation, test.status));
    EXPECT_EQ(read.settled, test.settled) << test.name;
    EXPECT_EQ(read.available, test.available) << test.name;
    EXPECT_EQ(read.applied_hash, "h");
  }
}

TEST(ReadDeployment, TellsADeadlineThatWasExceeded) {
  const char* status = R"({"observedGeneration":1,"conditions":[{"type":"Progressing","status":"False"}]})";
  EXPECT_TRUE(read_deployment(deployment(1, status)).deadline_exceeded);
  EXPECT_FALSE(read_deployment(deployment(2, status)).deadline_exceeded) << "of an old generation";
}

kube::ObjectPtr pod(const char* job_uid, const char* phase, const char* finished, const char* message) {
  json out = json::parse(R"({"metadata": {"name": "p", "ownerReferences": [{"controller": true}]}})");
  out["metadata"]["ownerReferences"][0]["uid"] = job_uid;
  out["status"] = {
      {"phase", phase},
      {"containerStatuses",
       {{{"state", {{"terminated", {{"finishedAt", finished}, {"message", message}, {"exitCode", 0}}}}}}}}};
  return std::make_shared<const json>(std::move(out));
}

TEST(ReadJob, TakesTheSummaryOfItsOwnLastPodThatEndedAlike) {
  const json complete = json::parse(
      R"({"metadata":{"name":"j","uid":"u"},"status":{"completionTime":"2026-01-01T00:00:09Z",
          "conditions":[{"type":"SuccessCriteriaMet","status":"True"},{"type":"Complete","status":"True"}]}})");
  const std::vector<kube::ObjectPtr> pods = {
      pod("u", "Failed", "2026-01-01T00:00:08Z", "failed"),
      pod("u", "Succeeded", "2026-01-01T00:00:07Z", "summary"),
      pod("other", "Succeeded", "2026-01-01T00:00:09Z", "of another Job")};
  const rollout::Job job = read_job(complete, pods);
  EXPECT_EQ(job.state, rollout::JobState::kSucceeded);
  EXPECT_EQ(job.summary, "summary");
  EXPECT_EQ(api::format_time(*job.finished_at), "2026-01-01T00:00:09Z");
  EXPECT_EQ(read_job(complete, {}).summary, "");
  EXPECT_TRUE(read_job(complete, {}).pods_gone);
  EXPECT_FALSE(job.pods_gone);
}

TEST(ReadJob, TellsWhyItFailed) {
  const json failed = json::parse(R"({"metadata":{"name":"j","uid":"u"},"status":{"conditions":[
      {"type":"Failed","status":"True","reason":"PodFailurePolicy","message":"exit code 2"}]}})");
  const rollout::Job job =
      read_job(failed, {pod("u", "Failed", "2026-01-01T00:00:08Z", "model.gguf: truncated")});
  EXPECT_EQ(job.state, rollout::JobState::kFailed);
  EXPECT_EQ(job.reason, "PodFailurePolicy: exit code 2");
  EXPECT_EQ(job.summary, "model.gguf: truncated");
}

TEST(ReadJob, RunsUntilAConditionSaysOtherwise) {
  for (const char* status :
       {"{}", R"({"active":1})", R"({"conditions":[{"type":"Complete","status":"False"}]})", R"([])"}) {
    json job = {{"metadata", {{"name", "j"}}}, {"status", json::parse(status)}};
    EXPECT_EQ(read_job(job, {}).state, rollout::JobState::kRunning) << status;
  }
}

TEST(ReadJob, TellsWhyItRunsAgain) {
  const json job = json::parse(R"({"metadata":{"name":"j","uid":"u"},"status":{"active":1,"failed":2}})");
  const rollout::Job found =
      read_job(job, {pod("u", "Failed", "2026-01-01T00:00:08Z", "no room"),
                     pod("u", "Failed", "2026-01-01T00:00:05Z", "connection refused"),
                     pod("other", "Failed", "2026-01-01T00:00:09Z", "of another Job")});
  EXPECT_EQ(found.state, rollout::JobState::kRunning);
  EXPECT_EQ(found.setback, "no room");
  EXPECT_EQ(found.summary, "");
}

struct WaitingCase {
  const char* name;
  const char* status;
  const char* waiting;
  bool may_start;
};

TEST(ReadJob, TellsWhyItsPodDoesNotStart) {
  const WaitingCase cases[] = {
      {"an image", R"({"phase":"Pending","containerStatuses":[{"state":{"waiting":{
          "reason":"ImagePullBackOff","message":"no such image"}}}]})",
       "no such image", false},
      {"no node", R"({"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False",
          "reason":"Unschedulable","message":"0/3 nodes are available"}]})",
       "Unschedulable: 0/3 nodes are available", true},
      {"a volume", R"({"phase":"Pending","conditions":[{"type":"PodScheduled","status":"True"}],
          "containerStatuses":[{"state":{"waiting":{"reason":"ContainerCreating"}}}]})",
       "FailedMount: hostPath type check failed: /nope.jsonl is not a file", false},
      {"it runs", R"({"phase":"Running","containerStatuses":[{"state":{"running":{}}}]})", "", false},
      {"strange", R"({"phase":"Pending","conditions":{},"containerStatuses":3})",
       "FailedMount: hostPath type check failed: /nope.jsonl is not a file", false},
  };
  const std::vector<kube::ObjectPtr> events = {
      object(R"({"involvedObject":{"uid":"of another pod"},"message":"no"})"),
      object(R"({"involvedObject":{"uid":"p"},
          "message":"hostPath type check failed: /nope.jsonl is not a file"})")};
  const json job = json::parse(R"({"metadata":{"name":"j","uid":"u"},"status":{"active":1}})");
  for (const WaitingCase& test : cases) {
    json pod = {{"metadata", {{"name", "p"}, {"uid", "p"}}}, {"status", json::parse(test.status)}};
    pod["metadata"]["ownerReferences"] = {{{"controller", true}, {"uid", "u"}}};
    const rollout::Job read = read_job(job, {std::make_shared<const json>(pod)}, events);
    EXPECT_EQ(read.waiting, test.waiting) << test.name;
    EXPECT_EQ(read.may_start, test.may_start) << test.name;
  }
}

TEST(ReadJob, TellsWhyAMountFailedLast) {
  const json job = json::parse(R"({"metadata":{"name":"j","uid":"u"},"status":{"active":1}})");
  const kube::ObjectPtr waiting = object(R"({"metadata":{"name":"p","uid":"p",
      "ownerReferences":[{"controller":true,"uid":"u"}]},"status":{"phase":"Pending"}})");
  const kube::ObjectPtr late =
      object(R"({"involvedObject":{"uid":"p"},"message":"secret \"absent\" not found",
      "lastTimestamp":"2026-01-01T00:01:04Z"})");
  const kube::ObjectPtr early = object(R"({"involvedObject":{"uid":"p"},"message":"timed out",
      "lastTimestamp":"2026-01-01T00:00:09Z"})");
  for (const auto& events : {std::vector{late, early}, std::vector{early, late}})
    EXPECT_EQ(read_job(job, {waiting}, events).waiting, "FailedMount: secret \"absent\" not found");
}

TEST(Gather, TellsChildrenFromForeignObjects) {
  api::QuantizedModel model;
  model.metadata.name = "m";
  const char* ours = R"({"metadata":{"name":"a","uid":"1","labels":{"stepdown.dev/model":"m",
      "app.kubernetes.io/managed-by":"stepdown","stepdown.dev/pinned":"true"}},
      "spec":{"base":{"digest":"b"},"method":"gguf","artifact":{"uri":"file:///a","digest":"d"}}})";
  const char* foreign =
      R"({"metadata":{"name":"f"},"spec":{"base":{"digest":"b"},"method":"gguf","artifact":{"uri":"u","digest":"e"}}})";
  const char* broken = R"({"metadata":{"name":"x"},"spec":{"method":7}})";
  const ObjectsByKind objects = {{"QuantRevision", {object(ours), object(foreign), object(broken)}}};
  const rollout::Observed seen = gather(model, objects, {});
  EXPECT_EQ(seen.revisions.size(), 2u);
  EXPECT_EQ(seen.children, (std::vector<rollout::Child>{{"QuantRevision", "a", "1", false, true}}));
}

TEST(Gather, LeavesOutWhatBearsTheLabelsOfAModelButIsNotItsOwn) {
  api::QuantizedModel model;
  model.metadata.name = "m";
  model.metadata.uid = "u";
  const char* ours = R"({"metadata":{"name":"m-fp16","uid":"1","labels":{"stepdown.dev/model":"m",
      "app.kubernetes.io/managed-by":"stepdown"},"ownerReferences":[{"uid":"u","controller":true}]}})";
  const char* labelled = R"({"metadata":{"name":"mine","uid":"2","labels":{"stepdown.dev/model":"m",
      "app.kubernetes.io/managed-by":"stepdown"}}})";
  const ObjectsByKind objects = {{"Deployment", {object(ours), object(labelled)}},
                                 {"Service", {object(labelled)}},
                                 {"Job", {object(labelled)}}};
  const rollout::Observed seen = gather(model, objects, {});
  EXPECT_EQ(seen.children, (std::vector<rollout::Child>{{"Deployment", "m-fp16", "1", false, false}}));
  EXPECT_EQ(seen.deployments.size(), 1u);
  EXPECT_TRUE(seen.jobs.empty());
}

rollout::Elsewhere elsewhere_of(const std::vector<kube::ObjectPtr>& others) {
  return read_elsewhere("m", others, *api::parse_time("2026-01-01T00:00:00Z"));
}

TEST(Elsewhere, KnowsTheCopiesThatOthersNameAndThoseTheyHave) {
  const auto found = elsewhere_of({
      object(
          R"({"metadata":{"name":"new"},"spec":{"model":{"source":"hf://org/llama"},"storage":{"claimName":"c"}}})"),
      object(R"({"metadata":{"name":"old"},"spec":{"model":{"source":"file:///x"}},
                 "status":{"sources":[{"source":"s3://b/m","place":"pvc://old-artifacts/sources/0123456789abcdef"}]}})"),
      object(
          R"({"metadata":{"name":"strange"},"spec":{"model":7,"storage":{"claimName":"c"}},"status":{"sources":1}})"),
  });
  EXPECT_EQ(found.places, (std::set<std::string>{rollout::sources::place("c", "hf://org/llama", ""),
                                                 "pvc://old-artifacts/sources/0123456789abcdef"}));
}

kube::ObjectPtr leaving(const std::string& name, const std::string& since, const std::string& claim) {
  const json model = {{"metadata", {{"name", name}, {"deletionTimestamp", since}}},
                      {"spec", {{"model", {{"source", "file:///x"}}}, {"storage", {{"claimName", claim}}}}}};
  return object(model.dump().c_str());
}

TEST(Elsewhere, OfTwoThatLeaveAClaimTheLaterByNameWaits) {
  const auto found = elsewhere_of({leaving("a", "2025-12-31T23:59:00Z", "before"),
                                   leaving("z", "2025-12-31T23:59:00Z", "after"),
                                   leaving("b", "2025-12-31T23:57:00Z", "stuck")});
  EXPECT_EQ(found.leaving, std::set<std::string>{"before"});
}

TEST(ModelOf, ReadsTheLabel) {
  const auto key = model_of(
      "Job", *object(R"({"metadata":{"name":"j","namespace":"n","labels":{"stepdown.dev/model":"m"}}})"));
  EXPECT_EQ(key, (kube::ObjectKey{"n", "m"}));
  EXPECT_EQ(model_of("Job", *object(R"({"metadata":{"name":"j"}})")), std::nullopt);
}

}  // namespace
}  // namespace stepdown::controller
