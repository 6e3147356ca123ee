// From YAML to a promoted revision and back, over a cluster in memory. Each test asserts the state of the
// world.
#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

using testing::Cluster;
using testing::digest;

constexpr const char* kCandidate = "m-444444444444";

TEST(Lifecycle, ToSeeWhatItMadeIsNoNewsForTheStatus) {
  Cluster cluster;
  for (int i = 0; i < 10 && cluster.model.status.phase != "Quantizing"; ++i) {
    cluster.world();
    cluster.reconcile();
  }
  ASSERT_EQ(cluster.model.status.phase, "Quantizing");
  const int before = cluster.busy_passes;
  cluster.reconcile();
  EXPECT_EQ(cluster.busy_passes, before) << "nothing happened but its own writes";
}

TEST(Lifecycle, PromotesTheSmallestThatMeetsItsSlo) {
  Cluster cluster;
  std::vector<std::string> phases;
  for (int i = 0; i < 200; ++i) {
    cluster.reconcile();
    if (phases.empty() || phases.back() != cluster.model.status.phase)
      phases.push_back(cluster.model.status.phase);
    cluster.world();
    cluster.now += std::chrono::seconds(1);
  }
  EXPECT_EQ(phases, (std::vector<std::string>{"Inspecting", "Quantizing", "Evaluating", "Starting", "Canary",
                                              "Promoted"}));
  const auto& status = cluster.model.status;
  EXPECT_EQ(status.rollout->stable, digest('4'));
  EXPECT_EQ(status.rollout->digest, "");
  EXPECT_EQ(status.rollout->control_percent, 5);
  EXPECT_EQ(status.stable_revision, kCandidate);
  EXPECT_EQ(cluster.ready(), "True Promoted");
  EXPECT_EQ(status.candidates[0].state, "Passed");
  EXPECT_EQ(status.candidates[1].state, "Chosen");
  EXPECT_TRUE(cluster.has("QuantRevision", kCandidate));
  EXPECT_TRUE(cluster.has("Deployment", "m-fp16"));
  EXPECT_TRUE(cluster.has("Service", "m"));
  EXPECT_EQ(api::kstatus(status.conditions, 1, status.observed_generation, false), api::KStatus::kCurrent);
  EXPECT_EQ(status.summary.method, "gguf/Q4_K_M");
  EXPECT_EQ(status.summary.weight, "95%");
  EXPECT_EQ(status.summary.quality, "jsonPass -4.0%");
  EXPECT_EQ(status.summary.memory_saved, "~-70%");
}

TEST(Lifecycle, ANoOpWritesNothing) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  const int before = cluster.busy_passes;
  cluster.wait(std::chrono::hours(10));
  EXPECT_EQ(cluster.busy_passes, before);
  EXPECT_FALSE(cluster.last.look_again);
}

/// Room for the engine, one sequence and so many bytes of weights; FP16 runs on CPUs, where nothing limits
/// it.
void give_room_for(Cluster& cluster, std::int64_t weights) {
  constexpr std::int64_t kEngine = 20 << 20, kSequence = 2 * 4096, kActivations = 10;
  cluster.model.spec.rollout.fallback.placement = "cpu";
  cluster.model.spec.serving.hardware =
      api::HardwareSpec{.memory = std::to_string(kEngine + kSequence + kActivations + weights)};
}

TEST(Lifecycle, ACandidateThatIsTooLargeIsNeverMade) {
  Cluster cluster;
  give_room_for(cluster, 400);
  cluster.until("Promoted");
  const auto& status = cluster.model.status;
  EXPECT_EQ(status.rollout->stable, digest('4'));
  EXPECT_EQ(status.candidates[0].state, "Failed");
  EXPECT_NE(status.candidates[0].message.find("for one sequence of 4096 tokens"), std::string::npos);
  EXPECT_NE(status.candidates[0].message.find("(predicted)"), std::string::npos);
  EXPECT_FALSE(cluster.disk.contains(digest('8').substr(7)));
}

TEST(Lifecycle, ACandidateThatBecameTooLargeIsNeverServed) {
  Cluster cluster;
  cluster.artifact["Q4_K_M"] = {digest('4'), 450};
  give_room_for(cluster, 400);
  cluster.settle_all();
  cluster.wait(std::chrono::minutes(5));
  const auto& status = cluster.model.status;
  EXPECT_EQ(status.candidates[1].state, "Failed");
  EXPECT_EQ(status.candidates[1].message.find("(predicted)"), std::string::npos);
  EXPECT_TRUE(cluster.has("Deployment", "m-fp16"));
  EXPECT_FALSE(cluster.has("Deployment", kCandidate));
}

TEST(Lifecycle, HoldsEachStepAndTellsWhenToLookAgain) {
  Cluster cluster;
  cluster.until("Canary");
  EXPECT_EQ(cluster.weight(), 5);
  ASSERT_TRUE(cluster.last.look_again);
  EXPECT_LE(*cluster.last.look_again, std::chrono::seconds(10));
  EXPECT_NE(cluster.model.status.summary.message.find("step 1/3 at 5%: holds until"), std::string::npos);
  cluster.wait(std::chrono::seconds(9));
  EXPECT_EQ(cluster.weight(), 5);
  cluster.wait(std::chrono::seconds(1));
  EXPECT_EQ(cluster.weight(), 50);
  cluster.wait(std::chrono::seconds(10));
  EXPECT_EQ(cluster.weight(), 100);
  EXPECT_EQ(cluster.model.status.rollout->stable, cluster.base);
  cluster.wait(std::chrono::seconds(10));
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'));
}

TEST(Lifecycle, NoStepIsLeftOnTimeAlone) {
  Cluster cluster;
  cluster.answers_a_step = 0;
  cluster.until("Canary");
  cluster.wait(std::chrono::hours(10));
  EXPECT_EQ(cluster.weight(), 5);
  EXPECT_NE(cluster.model.status.summary.message.find("waits for traffic: 20 judged answers"),
            std::string::npos)
      << cluster.model.status.summary.message;
  cluster.answers_a_step = 19;
  cluster.wait(std::chrono::hours(10));
  EXPECT_EQ(cluster.weight(), 5);
  EXPECT_NE(cluster.model.status.summary.message.find("waits for more traffic"), std::string::npos);
  cluster.answers_a_step = 20;
  cluster.wait(std::chrono::seconds(1));
  EXPECT_EQ(cluster.weight(), 50);
}

TEST(Lifecycle, StepsAdvanceOnTimeAloneWhenTheSpecAsksForNoAnswers) {
  Cluster cluster;
  cluster.answers_a_step = 0;
  cluster.model.spec.rollout.min_answers = 0;
  cluster.until("Canary");
  cluster.wait(std::chrono::seconds(10));
  EXPECT_EQ(cluster.weight(), 50);
}

TEST(Lifecycle, EpochRisesWithEveryChangeOfDigestOrWeight) {
  Cluster cluster;
  api::RolloutStatus before;
  for (int i = 0; i < 200; ++i) {
    cluster.reconcile();
    if (cluster.model.status.rollout) {
      const api::RolloutStatus& after = *cluster.model.status.rollout;
      if (after.digest != before.digest || after.weight != before.weight || after.stable != before.stable) {
        EXPECT_GT(after.epoch, before.epoch);
      } else {
        EXPECT_EQ(after.epoch, before.epoch);
      }
      before = after;
    }
    cluster.world();
    cluster.now += std::chrono::seconds(1);
  }
  EXPECT_EQ(before.stable, digest('4'));
}

// Crash after each write: whatever the number of writes a pass gets through, the end is the same.
TEST(Lifecycle, EndsTheSameWhenKilledAfterAnyWrite) {
  Cluster undisturbed;
  undisturbed.until("Promoted");
  undisturbed.wait(std::chrono::seconds(60));
  for (const std::size_t writes : {1u, 2u, 3u, 5u}) {
    Cluster killed;
    killed.promote_killed_after(writes);
    killed.wait(std::chrono::seconds(60));
    EXPECT_EQ(killed.objects, undisturbed.objects) << writes;
    EXPECT_EQ(killed.model.status.rollout->stable, undisturbed.model.status.rollout->stable);
    EXPECT_EQ(killed.model.status.phase, "Promoted");
  }
}

TEST(Lifecycle, KilledDuringRollbackEndsOnFp16) {
  for (const std::size_t writes : {1u, 2u}) {
    Cluster cluster;
    cluster.until("Canary");
    cluster.trip(digest('4'));
    for (int i = 0; i < 40; ++i) {
      cluster.reconcile(writes);
      cluster.world();
      cluster.now += std::chrono::seconds(2);
    }
    EXPECT_EQ(cluster.model.status.phase, "RolledBack");
    EXPECT_EQ(cluster.model.status.rollout->stable, cluster.base);
    EXPECT_FALSE(cluster.has("Deployment", kCandidate));
    EXPECT_EQ(cluster.model.status.blocked.size(), 1u);
  }
}

TEST(Lifecycle, ServesFp16WhenNoCandidatePasses) {
  Cluster cluster;
  cluster.json_pass[digest('4')] = cluster.json_pass[digest('8')] = 0.5;
  cluster.until("ServingFP16");
  EXPECT_EQ(cluster.ready(), "False NoCandidatePassed");
  EXPECT_TRUE(api::is_true(cluster.model.status.conditions, "Stalled"));
  EXPECT_TRUE(api::is_true(cluster.model.status.conditions, "Available"));
  EXPECT_EQ(cluster.model.status.traffic.size(), 1u);
  EXPECT_EQ(cluster.model.status.traffic[0].percent, 100);
  EXPECT_NE(cluster.model.status.summary.message.find("jsonPass 0.5 is under min 0.9"), std::string::npos);
}

TEST(Lifecycle, ClimbsTheLadderUntilAStepPasses) {
  Cluster cluster;
  cluster.base_format = "safetensors";
  cluster.model.spec.quantization.calibration = api::CalibrationSpec{.source = "file:///calibration.jsonl"};
  cluster.artifact["awq"] = {digest('a'), 310};
  cluster.artifact["gptq"] = {digest('9'), 320};
  cluster.json_pass[digest('4')] = cluster.json_pass[digest('8')] = cluster.json_pass[digest('a')] = 0.5;
  cluster.json_pass[digest('9')] = 0.97;
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('9'));
  const auto& rows = cluster.model.status.candidates;
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_FALSE(rows[1].ladder);
  EXPECT_EQ(rows[2].name, "awq/4");
  EXPECT_EQ(rows[2].ladder, true);
  EXPECT_EQ(rows[2].message, "jsonPass 0.5 is under min 0.9");
  EXPECT_EQ(rows[3].name, "gptq/4");
  EXPECT_EQ(rows[3].state, "Chosen");
  cluster.wait(std::chrono::minutes(5));
  EXPECT_EQ(cluster.model.status.candidates.size(), 4u) << "what was tried stays told";
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
}

TEST(Lifecycle, MeasuringAnewRemakesNoStepOfTheLadder) {
  Cluster cluster;
  cluster.base_format = "safetensors";
  cluster.model.spec.quantization.calibration = api::CalibrationSpec{.source = "file:///calibration.jsonl"};
  cluster.artifact["awq"] = {digest('a'), 310};
  cluster.json_pass[digest('4')] = cluster.json_pass[digest('8')] = 0.5;
  cluster.json_pass[digest('a')] = 0.97;
  cluster.until("Promoted");
  ASSERT_EQ(cluster.model.status.candidates.size(), 3u);
  const std::string made_by = cluster.model.status.candidates[2].quantize_job;
  cluster.settings.engine_image = "engine:2";
  for (int i = 0; i < 60; ++i) {
    cluster.reconcile();
    EXPECT_EQ(cluster.model.status.candidates.size(), 3u);
    EXPECT_EQ(cluster.model.status.candidates.back().quantize_job, made_by);
    cluster.world();
    cluster.now += std::chrono::seconds(1);
  }
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('a'));
}

TEST(Lifecycle, SaysWhyTheLadderEnds) {
  Cluster cluster;
  cluster.json_pass[digest('4')] = cluster.json_pass[digest('8')] = 0.5;
  cluster.until("ServingFP16");
  EXPECT_NE(cluster.model.status.summary.message.find(
                "nothing else is tried: awq/4 starts from a Hugging Face folder"),
            std::string::npos)
      << cluster.model.status.summary.message;
}

TEST(Lifecycle, ReturnsToFp16WhenATighterSloIsNotMet) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.edit([](auto& spec) { spec.evaluation.slo["jsonPass"].min = 0.999; });
  cluster.until("ServingFP16");
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.rollout->stable, cluster.base);
  EXPECT_EQ(cluster.model.status.candidates[0].metrics.at("jsonPass").value, 0.98)
      << "nothing is measured anew";
}

TEST(Lifecycle, SettledFp16KeepsOnlyItsFallbackReplicas) {
  Cluster cluster;
  cluster.model.spec.serving.replicas = 4;
  cluster.until("Canary");
  EXPECT_EQ(cluster.replicas("m-fp16"), 4);
  cluster.until("Promoted");
  cluster.settle_all();
  EXPECT_EQ(cluster.replicas("m-fp16"), 1);
  EXPECT_EQ(cluster.replicas(kCandidate), 4);
}

TEST(Lifecycle, WithoutDatasetTheCanaryAloneDecides) {
  Cluster cluster;
  cluster.model.spec.evaluation = {};
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'));
  for (const auto& [name, job] : cluster.jobs) EXPECT_EQ(name.find("-eval-"), std::string::npos);
  EXPECT_FALSE(cluster.model.status.baseline);
}

TEST(Lifecycle, AFailedCandidateDoesNotStopTheOthers) {
  Cluster cluster;
  cluster.artifact["Q4_K_M"].first = "no digest";
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('8'));
  EXPECT_EQ(cluster.model.status.candidates[1].state, "Failed");
}

TEST(Lifecycle, AFailedInspectionStallsUntilRetry) {
  Cluster cluster;
  cluster.job_failure["inspect"] = "truncated file";
  cluster.settle_all();
  EXPECT_EQ(cluster.ready(), "False InspectFailed");
  EXPECT_NE(cluster.model.status.summary.message.find("truncated file"), std::string::npos);
  cluster.job_failure.clear();
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "Failed");
  cluster.command("retry", "", "1");
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
}

TEST(Lifecycle, AnInvalidSpecStartsNothing) {
  Cluster cluster;
  cluster.model.spec.model.source = "http://models/llama";
  cluster.settle_all();
  EXPECT_TRUE(cluster.objects.empty());
  EXPECT_EQ(cluster.ready(), "False Incompatible");
  EXPECT_EQ(cluster.model.status.findings.at(0).id, "SD001");
}

TEST(Lifecycle, ASpecThatTurnsInvalidLeavesWhatServes) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.settle_all();
  const auto before = cluster.objects;
  cluster.edit([](auto& spec) { spec.rollout.fallback.replicas = 0; });
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "Invalid");
  for (const auto& [key, object] : before) {
    if (key.first != "Job") {
      EXPECT_EQ(cluster.objects.at(key), object) << key.second;
    }
  }
}

TEST(Lifecycle, SuspendFreezesEverything) {
  Cluster cluster;
  cluster.until("Canary");
  const auto before = cluster.objects;
  cluster.edit([](auto& spec) { spec.suspend = true; });
  cluster.wait(std::chrono::hours(1));
  EXPECT_EQ(cluster.weight(), 5);
  EXPECT_EQ(cluster.objects, before);
  EXPECT_EQ(cluster.model.status.phase, "Suspended");
  cluster.edit([](auto& spec) { spec.suspend = false; });
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
}

TEST(Lifecycle, ASpecEditedInMidCanaryRollsTheNewChoiceOut) {
  Cluster cluster;
  cluster.until("Canary");
  const std::string salt = cluster.model.status.rollout->salt;
  cluster.edit([](auto& spec) { spec.quantization.candidates = {{"gguf", "Q8_0", {}, {}}}; });
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.rollout->digest, digest('8'));
  EXPECT_NE(cluster.model.status.rollout->salt, salt);
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('8'));
  EXPECT_FALSE(cluster.has("Deployment", kCandidate));
  EXPECT_FALSE(cluster.has("Service", kCandidate));
}

TEST(Lifecycle, ANewSourceStartsOverOnFp16) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.base = digest('c');
  cluster.json_pass[cluster.base] = 0.99;
  cluster.artifact["Q4_K_M"] = {digest('5'), 300};
  cluster.json_pass[digest('5')] = 0.97;
  cluster.edit([](auto& spec) { spec.model.source = "file:///models/other"; });
  cluster.reconcile();
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'))
      << "what serves keeps serving while the source is read";
  cluster.settle_all(3);
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('c'));
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('5'));
  EXPECT_FALSE(cluster.has("Deployment", kCandidate));
}

TEST(Lifecycle, GoodBadGoodEndsWhereItBegan) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  const auto objects = cluster.objects;
  const api::QuantizedModelSpec good = cluster.model.spec;
  cluster.edit([](auto& spec) { spec.quantization.candidates = {{"gguf", "Q9", {}, {}}}; });
  cluster.wait(std::chrono::seconds(60));
  EXPECT_EQ(cluster.model.status.phase, "Invalid");
  cluster.edit([&](auto& spec) { spec = good; });
  cluster.wait(std::chrono::seconds(60));
  cluster.wait(std::chrono::seconds(60));
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
  for (const auto& [key, object] : objects) EXPECT_EQ(cluster.objects[key], object) << key.second;
}

TEST(Lifecycle, DeletionLeavesNothing) {
  for (const std::size_t writes : {1u, 1000u}) {
    Cluster cluster;
    cluster.until("Canary");
    cluster.model.metadata.deleting = true;
    for (int i = 0; i < 200 && !cluster.gone; ++i) cluster.reconcile(writes);
    EXPECT_TRUE(cluster.gone);
    EXPECT_TRUE(cluster.objects.empty());
  }
}

TEST(Lifecycle, DeletionWithNothingThereIsAtOnce) {
  Cluster cluster;
  cluster.model.metadata.deleting = true;
  cluster.model.metadata.finalizers = {"other", kFinalizer};
  cluster.reconcile();
  EXPECT_EQ(cluster.model.metadata.finalizers, std::vector<std::string>{"other"});
  EXPECT_TRUE(cluster.objects.empty());
}

TEST(Lifecycle, DeletionKeepsPinnedRevisionsAndTheirClaim) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.pinned = {{"QuantRevision", kCandidate}};
  cluster.model.metadata.deleting = true;
  for (int i = 0; i < 20 && !cluster.gone; ++i) {
    cluster.reconcile();
    cluster.world();
  }
  EXPECT_TRUE(cluster.gone);
  EXPECT_TRUE(cluster.has("QuantRevision", kCandidate));
  EXPECT_TRUE(cluster.has("PersistentVolumeClaim", "m-artifacts"));
  EXPECT_FALSE(cluster.has("Deployment", "m-fp16"));
}

TEST(Lifecycle, OldPodsAreNotReady) {
  Cluster cluster;
  cluster.until("Canary");
  cluster.stuck = {kCandidate};
  cluster.edit([](auto& spec) { spec.serving.context_length = 2048; });
  cluster.wait(std::chrono::hours(1));
  EXPECT_EQ(cluster.weight(), 5) << "the step is not left on pods of another generation";
  cluster.stuck.clear();
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
}

}  // namespace
}  // namespace stepdown::rollout
