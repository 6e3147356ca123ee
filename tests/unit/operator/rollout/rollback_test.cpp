#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

using testing::Cluster;
using testing::digest;

api::QuantRevision revision(const std::string& name, char digit, const std::string& base) {
  api::QuantRevision out;
  out.metadata.name = name;
  out.spec.base.digest = base;
  out.spec.method = "gguf";
  out.spec.preset = "Q8_0";
  out.spec.artifact = {"file:///artifacts/" + name, digest(digit), 400};
  return out;
}

TEST(Rollback, ATripSendsAllToFp16AndIsRemembered) {
  Cluster cluster;
  cluster.until("Canary");
  cluster.trip(digest('4'));
  cluster.settle_all();
  const auto& status = cluster.model.status;
  EXPECT_EQ(status.phase, "RolledBack");
  EXPECT_EQ(cluster.ready(), "False RolledBack");
  EXPECT_TRUE(api::is_true(status.conditions, "Stalled"));
  EXPECT_TRUE(api::is_true(status.conditions, "Available"));
  EXPECT_EQ(status.rollout->digest, "");
  EXPECT_EQ(status.rollout->weight, 0);
  EXPECT_EQ(status.rollout->stable, cluster.base);
  ASSERT_TRUE(status.last_rollback);
  EXPECT_EQ(status.last_rollback->digest, digest('4'));
  EXPECT_EQ(status.last_rollback->revision, "m-444444444444");
  EXPECT_EQ(status.last_rollback->weight, 5);
  EXPECT_EQ(status.last_rollback->bad_answers, 6);
  EXPECT_EQ(status.last_rollback->detected_by, "ceiling");
  EXPECT_TRUE(status.is_blocked(digest('4')));
  EXPECT_EQ(status.candidates[1].state, "Blocked");

  cluster.wait(std::chrono::hours(1));
  EXPECT_EQ(status.phase, "RolledBack");
  EXPECT_FALSE(cluster.has("Deployment", "m-444444444444"));

  cluster.edit([](auto& spec) { spec.rollout.steps[0].hold = "1s"; });  // Git applies it again
  cluster.wait(std::chrono::hours(1));
  EXPECT_EQ(status.rollout->digest, "");
}

TEST(Rollback, RetryClearsItAndOldTripsDoNotCount) {
  Cluster cluster;
  cluster.until("Canary");
  cluster.trip(digest('4'));
  cluster.settle_all();
  cluster.gateway_follows = false;  // the verdict stays as it was
  cluster.command("retry", digest('4'), "1");
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.command->result, "Done");
  EXPECT_EQ(cluster.model.status.rollout->digest, digest('4'));
  EXPECT_TRUE(cluster.model.status.blocked.empty());
  cluster.gateway_follows = true;
  cluster.model.status.verdict.reset();
  api::set_condition(cluster.model.status.conditions, {"CanaryHealthy", "True", "", "", "", 0}, "t");
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
}

TEST(Rollback, OfTheStableRevisionGoesToFp16) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.settle_all();
  cluster.trip(digest('4'));
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "RolledBack");
  EXPECT_EQ(cluster.model.status.rollout->stable, cluster.base);
  EXPECT_EQ(cluster.model.status.rollout->control_percent, 0);
  EXPECT_EQ(cluster.model.status.last_rollback->weight, 100);
}

TEST(Rollback, OfACandidateKeepsTheStableRevision) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.foreign = {revision("bad", '7', cluster.base)};
  cluster.edit([](auto& spec) {
    spec.quantization.candidates.clear();
    spec.quantization.from_revision = "bad";
  });
  cluster.until("Canary");
  EXPECT_EQ(cluster.model.status.rollout->digest, digest('7'));
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'));
  EXPECT_EQ(cluster.model.status.current_revision, "bad");
  EXPECT_EQ(cluster.model.status.traffic.size(), 3u);
  cluster.trip(digest('7'));
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "RolledBack");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'));
  EXPECT_EQ(cluster.model.status.last_rollback->revision, "bad");
  EXPECT_TRUE(cluster.has("Deployment", "m-444444444444"));
}

TEST(Rollback, AnotherRevisionAfterABlockedOneRollsOut) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.foreign = {revision("bad", '7', cluster.base), revision("good", '9', cluster.base)};
  cluster.edit([](auto& spec) {
    spec.quantization.candidates.clear();
    spec.quantization.from_revision = "bad";
  });
  cluster.until("Canary");
  cluster.trip(digest('7'));
  cluster.settle_all();
  api::set_condition(cluster.model.status.conditions, {"CanaryHealthy", "True", "", "", "", 0}, "t");
  cluster.edit([](auto& spec) { spec.quantization.from_revision = "good"; });
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('9'));
}

TEST(Rollback, AnEngineThatNeverStartsIsRolledBack) {
  Cluster cluster;
  cluster.stuck = {"m-444444444444"};
  cluster.until("Starting");
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "Starting");
  cluster.deployments["m-444444444444"].deadline_exceeded = true;
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "RolledBack");
  EXPECT_EQ(cluster.model.status.last_rollback->reason, "EngineNotReady");
}

TEST(Rollback, AGatewayThatDoesNotFollowHoldsTheStep) {
  Cluster cluster;
  cluster.gateway_follows = false;
  cluster.until("Canary");
  cluster.wait(std::chrono::hours(1));
  EXPECT_EQ(cluster.weight(), 5);
  EXPECT_NE(cluster.model.status.summary.message.find("waits for the gateway"), std::string::npos);
  cluster.gateway_follows = true;
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
}

TEST(FromRevision, QuantizesNothing) {
  Cluster cluster;
  cluster.foreign = {revision("r", '9', cluster.base)};
  cluster.model.spec.quantization = {.candidates = {}, .calibration = {}, .from_revision = "r"};
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('9'));
  EXPECT_EQ(cluster.jobs.size(), 2u) << "what read the base, and what read the artifact";
}

TEST(FromRevision, OfAnotherBaseIsRefused) {
  Cluster cluster;
  cluster.foreign = {revision("r", '9', digest('d'))};
  cluster.model.spec.quantization = {.candidates = {}, .calibration = {}, .from_revision = "r"};
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "Invalid");
  EXPECT_EQ(cluster.model.status.findings.at(0).id, "SD011");
}

TEST(FromRevision, ThatIsMissingStartsNothingAndLeavesWhatServes) {
  for (const bool serves : {false, true}) {
    Cluster cluster;
    if (serves) cluster.until("Promoted");
    cluster.edit(
        [](auto& spec) { spec.quantization = {.candidates = {}, .calibration = {}, .from_revision = "r"}; });
    cluster.settle_all();
    EXPECT_EQ(cluster.ready(), "False RevisionNotFound");
    EXPECT_EQ(api::is_true(cluster.model.status.conditions, "Available"), serves);
    EXPECT_EQ(cluster.has("Deployment", "m-fp16"), serves);
  }
}

struct CommandCase {
  const char* name;
  const char* verb;
  char digit;
  const char* result;
  std::int64_t weight;
  const char* stable;  ///< first digit
};

TEST(Commands, AtTheFirstStep) {
  const CommandCase cases[] = {
      {"promote", "promote", '4', "Done", 0, "4"},
      {"promote another", "promote", '8', "Refused", 5, "b"},
      {"approve before the hold is over", "approve", '4', "Refused", 5, "b"},
      {"rollback", "rollback", '4', "Done", 0, "b"},
      {"rollback another", "rollback", '8', "Refused", 5, "b"},
      {"pause", "pause", '4', "Done", 5, "b"},
      {"retry what is not blocked", "retry", '4', "Refused", 5, "b"},
      {"unknown", "explode", '4', "Refused", 5, "b"},
  };
  for (const CommandCase& test : cases) {
    Cluster cluster;
    cluster.until("Canary");
    cluster.command(test.verb, digest(test.digit), "id-1");
    cluster.settle_all(4);
    ASSERT_TRUE(cluster.model.status.command) << test.name;
    EXPECT_EQ(cluster.model.status.command->id, "id-1") << test.name;
    EXPECT_EQ(cluster.model.status.command->result, test.result) << test.name;
    EXPECT_EQ(cluster.weight(), test.weight) << test.name;
    EXPECT_EQ(cluster.model.status.rollout->stable.substr(7, 1), test.stable) << test.name;
  }
}

TEST(Commands, PauseHoldsAndResumeGoesOn) {
  Cluster cluster;
  cluster.until("Canary");
  cluster.command("pause", "", "1");
  cluster.wait(std::chrono::hours(1));
  EXPECT_EQ(cluster.weight(), 5);
  EXPECT_EQ(cluster.model.status.paused, true);
  cluster.command("resume", "", "2");
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.paused, std::nullopt);
}

TEST(Commands, ATripRollsBackAPausedRollout) {
  Cluster cluster;
  cluster.until("Canary");
  cluster.edit([](auto& spec) { spec.rollout.paused = true; });
  cluster.settle_all();
  cluster.trip(digest('4'));
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "RolledBack");
}

TEST(Commands, ApprovalIsWaitedFor) {
  Cluster cluster;
  cluster.model.spec.rollout.steps[0].approval = true;
  cluster.until("Canary");
  cluster.wait(std::chrono::hours(1));
  EXPECT_EQ(cluster.weight(), 5);
  EXPECT_NE(cluster.model.status.summary.message.find("waits for approval"), std::string::npos);
  cluster.command("approve", digest('4'), "1");
  cluster.settle_all(4);
  EXPECT_EQ(cluster.model.status.command->result, "Done");
  EXPECT_EQ(cluster.weight(), 50);
}

TEST(Commands, ApprovalWaitsForResume) {
  Cluster cluster;
  cluster.model.spec.rollout.steps[0].approval = true;
  cluster.until("Canary");
  cluster.wait(std::chrono::hours(1));
  cluster.command("pause", "", "1");
  cluster.settle_all(4);
  cluster.command("approve", digest('4'), "2");
  cluster.settle_all(4);
  EXPECT_EQ(cluster.model.status.command->message, "the rollout is paused: resume it first");
  EXPECT_EQ(cluster.weight(), 5);
}

TEST(Commands, RetryOfAnEngineThatNeverStartedIsNotBlockedByItsOldPods) {
  Cluster cluster;
  cluster.stuck = {"m-444444444444"};
  cluster.until("Starting");
  cluster.settle_all();
  cluster.deployments["m-444444444444"].deadline_exceeded = true;
  cluster.gateway_follows = false;  // so that the old Deployment is still there when the retry comes
  cluster.reconcile();
  cluster.stuck.clear();
  cluster.command("retry", "", "1");
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.command->result, "Done");
  EXPECT_TRUE(cluster.model.status.blocked.empty());
  EXPECT_EQ(cluster.model.status.rollout->digest, digest('4'));
  cluster.gateway_follows = true;
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
}

TEST(Commands, AreAnsweredWhereNothingServesYet) {
  struct Case {
    const char* verb;
    const char* result;
    const char* message;
  };
  const Case cases[] = {{"retry", "Done", ""},
                        {"pause", "Done", ""},
                        {"promote", "Refused", "that revision is not under rollout"},
                        {"approve", "Refused", "that revision is at no step"},
                        {"rollback", "Refused", "that revision gets no traffic"}};
  for (const Case& test : cases) {
    Cluster cluster;
    cluster.job_failure["inspect"] = "truncated file";
    cluster.settle_all();
    cluster.command(test.verb, "", "1");
    cluster.settle_all();
    ASSERT_TRUE(cluster.model.status.command) << test.verb;
    EXPECT_EQ(cluster.model.status.command->result, test.result) << test.verb;
    EXPECT_EQ(cluster.model.status.command->message, test.message) << test.verb;
    EXPECT_EQ(cluster.model.status.phase, "Failed") << "a Job that fails again is not retried again";
  }
}

TEST(Commands, OfASuspendedModelAreRefused) {
  Cluster cluster;
  cluster.until("Canary");
  cluster.edit([](auto& spec) { spec.suspend = true; });
  cluster.command("promote", digest('4'), "1");
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.command->result, "Refused");
  EXPECT_EQ(cluster.weight(), 5);
}

TEST(Commands, AreCarriedOutOnce) {
  Cluster cluster;
  cluster.until("Canary");
  cluster.command("rollback", digest('4'), "1");
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.blocked.size(), 1u);
  cluster.command("retry", digest('4'), "2");
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.rollout->digest, digest('4'));
  const std::int64_t epoch = cluster.model.status.rollout->epoch;
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.rollout->epoch, epoch);
}

}  // namespace
}  // namespace stepdown::rollout
