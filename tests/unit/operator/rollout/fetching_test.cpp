// Sources that lie elsewhere: fetched once, to the claim, before anything mounts them.
#include "operator/rollout/fetching.h"

#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

#include "operator/rollout/sources.h"

namespace stepdown::rollout {
namespace {

using testing::Cluster;
using testing::digest;

constexpr const char* kSource = "hf://org/llama";

Cluster remote_cluster(const std::string& source = kSource) {
  Cluster cluster;
  cluster.model.spec.model.source = source;
  cluster.model.spec.storage.size = "1Gi";
  return cluster;
}

std::string copy_of(const std::string& source, const std::string& pin = "") {
  return sources::folder(sources::place("c", source, pin));
}

std::vector<std::string> fetch_jobs(const Cluster& cluster) {
  std::vector<std::string> out;
  for (const auto& [key, object] : cluster.objects) {
    if (key.second.find("-fetch-") != std::string::npos) out.push_back(key.second);
  }
  return out;
}

std::string condition(const api::QuantizedModelStatus& status, const char* type) {
  const api::Condition* found = api::find_condition(status.conditions, type);
  return found == nullptr ? "" : found->status + " " + found->reason + ": " + found->message;
}

/// Until the operator waits for its fetch Jobs.
void begin(Cluster& cluster) {
  for (int i = 0; i < 5; ++i) cluster.reconcile();
}

TEST(Fetching, ComesBeforeAllElse) {
  for (const char* source :
       {"hf://org/llama", "s3://b/llama", "oci://r/org/llama:1", "oci+http://r:5000/llama"}) {
    Cluster cluster = remote_cluster(source);
    std::vector<std::string> phases;
    for (int i = 0; i < 200; ++i) {
      cluster.reconcile();
      if (phases.empty() || phases.back() != cluster.model.status.phase)
        phases.push_back(cluster.model.status.phase);
      cluster.world();
      cluster.now += std::chrono::seconds(1);
    }
    EXPECT_EQ(phases, (std::vector<std::string>{"Fetching", "Inspecting", "Quantizing", "Evaluating",
                                                "Starting", "Canary", "Promoted"}));
    EXPECT_EQ(fetch_jobs(cluster).size(), 1u);
    EXPECT_EQ(Cluster::mounted_at(cluster.objects.at({"Deployment", "m-fp16"}), "/models/base"),
              copy_of(source));
    EXPECT_TRUE(cluster.has("PersistentVolumeClaim", "m-artifacts"));
    EXPECT_TRUE(cluster.disk.contains(copy_of(source)));
    EXPECT_TRUE(cluster.served_missing.empty());
    const auto& revision = cluster.objects.at({"QuantRevision", "m-444444444444"});
    EXPECT_EQ(revision.at("spec").at("base").at("uri"), source) << "not this cluster's copy of it";
    ASSERT_EQ(cluster.model.status.sources.size(), 1u);
    EXPECT_EQ(cluster.model.status.sources[0].state, "Fetched");
    EXPECT_EQ(cluster.model.status.sources[0].resolved, std::string(source) + "@c0ffee");
  }
}

TEST(Fetching, TellsWhatItFetches) {
  Cluster cluster = remote_cluster();
  begin(cluster);
  EXPECT_EQ(cluster.model.status.phase, "Fetching");
  const std::string job = fetch_jobs(cluster).at(0);
  EXPECT_EQ(condition(cluster.model.status, "Reconciling"),
            "True Fetching: Job " + job + " fetches hf://org/llama");
  EXPECT_EQ(cluster.model.status.sources.at(0).fetch_job, job);
  EXPECT_EQ(cluster.model.status.sources.at(0).state, "Fetching");
  EXPECT_EQ(cluster.objects.size(), 2u) << "the Job and its claim, nothing else";
}

TEST(Fetching, EndsTheSameWhenKilledAfterAnyWrite) {
  Cluster undisturbed = remote_cluster();
  undisturbed.model.spec.evaluation.dataset = "s3://b/eval.jsonl";
  undisturbed.until("Promoted");
  undisturbed.wait(std::chrono::seconds(60));
  for (const std::size_t writes : {1u, 2u, 3u}) {
    Cluster killed = remote_cluster();
    killed.model.spec.evaluation.dataset = "s3://b/eval.jsonl";
    killed.promote_killed_after(writes);
    killed.wait(std::chrono::seconds(60));
    EXPECT_EQ(killed.objects, undisturbed.objects) << writes;
    EXPECT_TRUE(killed.served_missing.empty());
  }
}

TEST(Fetching, ANoOpWritesNothing) {
  Cluster cluster = remote_cluster();
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  const int before = cluster.busy_passes;
  cluster.wait(std::chrono::hours(10));
  EXPECT_EQ(cluster.busy_passes, before);
}

TEST(Fetching, AMissingSecretIsNamedByItsField) {
  Cluster cluster = remote_cluster();
  cluster.model.spec.model.secret_ref = api::SecretReference{"hub"};
  begin(cluster);
  Observed seen = cluster.observe();
  seen.jobs.at(0).waiting =
      "FailedMount: MountVolume.SetUp failed for volume \"credentials\" : secret \"hub\" not found";
  const Plan plan = make_plan(seen, cluster.settings, cluster.now);
  EXPECT_EQ(condition(plan.status, "Stalled")
                .find("True SecretNotFound: spec.model.secretRef: there is no Secret hub"),
            0u)
      << condition(plan.status, "Stalled");
  ASSERT_EQ(plan.events.size(), 1u);
  cluster.settle_all();
  cluster.until("Promoted");
  EXPECT_EQ(cluster.ready(), "True Promoted") << "once it is there, the same Job goes on";
}

TEST(Fetching, AnotherSecretIsTriedByAnotherJob) {
  Cluster cluster = remote_cluster();
  cluster.job_failure["fetch"] = "org/llama is gated (HTTP 401, GatedRepo)";
  cluster.settle_all();
  EXPECT_NE(
      condition(cluster.model.status, "Stalled").find("True FetchFailed: spec.model.source: Job m-fetch-"),
      std::string::npos);
  EXPECT_NE(cluster.model.status.summary.message.find("is gated"), std::string::npos);
  EXPECT_EQ(cluster.model.status.sources.at(0).state, "Failed");
  cluster.job_failure.clear();
  cluster.edit([](auto& spec) { spec.model.secret_ref = api::SecretReference{"hub"}; });
  cluster.until("Promoted");
  EXPECT_EQ(cluster.ready(), "True Promoted");
}

TEST(Fetching, ARetryFetchesByTheSameSecret) {
  Cluster cluster = remote_cluster();
  cluster.job_failure["fetch"] = "s3://b/llama: the store refuses";
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "Failed");
  cluster.job_failure.clear();
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "Failed") << "what a Secret holds is not seen";
  cluster.command("retry", "", "1");
  cluster.until("Promoted");
  EXPECT_EQ(cluster.ready(), "True Promoted");
}

TEST(Fetching, TellsWhyItIsTriedAgain) {
  Cluster cluster = remote_cluster();
  begin(cluster);
  Observed seen = cluster.observe();
  seen.jobs.at(0).setback = "no room: 16000 MiB are to come, 900 MiB are free";
  const Plan plan = make_plan(seen, cluster.settings, cluster.now);
  EXPECT_EQ(plan.status.phase, "Fetching");
  EXPECT_NE(plan.status.summary.message.find("fetches hf://org/llama, again after: no room"),
            std::string::npos)
      << plan.status.summary.message;
}

TEST(Fetching, AWrongDigestStallsUntilThePinIsMended) {
  Cluster cluster = remote_cluster();
  cluster.model.spec.model.revision = digest('e');
  cluster.settle_all();
  EXPECT_NE(
      condition(cluster.model.status, "Stalled").find("has digest " + cluster.base + ", not " + digest('e')),
      std::string::npos)
      << condition(cluster.model.status, "Stalled");
  EXPECT_FALSE(cluster.has("Deployment", "m-fp16"));
  cluster.edit([&](auto& spec) { spec.model.revision = cluster.base; });
  cluster.until("Promoted");
  for (int i = 0; i < 3; ++i) cluster.wait(std::chrono::seconds(60));
  EXPECT_TRUE(cluster.disk.contains(copy_of(kSource, cluster.base)));
  EXPECT_TRUE(cluster.model.status.leftovers.empty()) << "what the first one left half done is removed";
}

TEST(Fetching, APinOfWhatIsThereFetchesNothing) {
  Cluster cluster = remote_cluster();
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  const auto jobs = fetch_jobs(cluster);
  cluster.edit([&](auto& spec) { spec.model.revision = cluster.base; });
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
  EXPECT_EQ(fetch_jobs(cluster), jobs);
  EXPECT_EQ(cluster.model.status.sources.at(0).revision, cluster.base);
}

TEST(Fetching, PromptsThatComeFromElsewhereDisturbNothingThatServes) {
  Cluster cluster = remote_cluster();
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  const auto engine = cluster.objects.at({"Deployment", "m-fp16"});
  cluster.edit([](auto& spec) { spec.evaluation.dataset = "s3://b/eval.jsonl"; });
  begin(cluster);
  EXPECT_EQ(cluster.model.status.phase, "Fetching");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'));
  EXPECT_EQ(cluster.objects.at({"Deployment", "m-fp16"}), engine);
  EXPECT_TRUE(cluster.has("Deployment", "m-444444444444"));
  cluster.settle_all();
  cluster.until("Promoted");
  EXPECT_EQ(cluster.ready(), "True Promoted");
}

TEST(Fetching, AnotherBaseServesOnlyOnceItIsThere) {
  Cluster cluster = remote_cluster();
  cluster.model.spec.evaluation = {};
  cluster.model.spec.rollout.min_answers = 0;
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  cluster.edit([](auto& spec) { spec.model.source = "s3://b/newer"; });
  begin(cluster);
  EXPECT_EQ(cluster.model.status.phase, "Fetching");
  EXPECT_EQ(Cluster::mounted_at(cluster.objects.at({"Deployment", "m-fp16"}), "/models/base"),
            copy_of(kSource));
  cluster.base = digest('7');
  cluster.remote["s3://b/newer"] = digest('7');
  cluster.settle_all();
  cluster.until("Promoted");
  for (int i = 0; i < 3; ++i) cluster.wait(std::chrono::seconds(60));
  EXPECT_EQ(Cluster::mounted_at(cluster.objects.at({"Deployment", "m-fp16"}), "/models/base"),
            copy_of("s3://b/newer"));
  EXPECT_TRUE(cluster.served_missing.empty());
  EXPECT_TRUE(cluster.disk.contains(copy_of(kSource))) << "a QuantRevision names it as its base";
}

TEST(Fetching, ACopyThatNothingNeedsGoes) {
  Cluster cluster = remote_cluster();
  cluster.model.spec.evaluation.dataset = "s3://b/eval.jsonl";
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  EXPECT_TRUE(cluster.disk.contains(copy_of("s3://b/eval.jsonl")));
  cluster.edit([](auto& spec) { spec.evaluation.dataset = "file:///data/eval.jsonl"; });
  cluster.settle_all();
  cluster.until("Promoted");
  for (int i = 0; i < 3; ++i) cluster.wait(std::chrono::seconds(60));
  EXPECT_FALSE(cluster.disk.contains(copy_of("s3://b/eval.jsonl")));
  EXPECT_TRUE(cluster.disk.contains(copy_of(kSource)));
}

TEST(Fetching, DeletionRemovesCopiesFromAClaimThatStays) {
  for (const bool shared : {false, true}) {
    Cluster cluster = remote_cluster();
    cluster.model.spec.storage = {.claim_name = "shared", .size = "", .storage_class = ""};
    cluster.until("Canary");
    if (shared) cluster.elsewhere.places = {sources::place("shared", kSource, "")};
    cluster.remove();
    EXPECT_TRUE(cluster.gone);
    EXPECT_EQ(cluster.disk, shared ? std::set<std::string>{copy_of(kSource)} : std::set<std::string>{});
  }
}

TEST(Fetching, DeletionWaitsForAnotherThatLeavesTheClaim) {
  Cluster cluster = remote_cluster();
  cluster.model.spec.storage = {.claim_name = "shared", .size = "", .storage_class = ""};
  cluster.until("Canary");
  cluster.elsewhere.places = {sources::place("shared", kSource, "")};
  cluster.elsewhere.leaving = {"shared"};
  cluster.remove();
  EXPECT_FALSE(cluster.gone);
  cluster.elsewhere = {};
  cluster.remove();
  EXPECT_TRUE(cluster.gone);
  EXPECT_EQ(cluster.disk, std::set<std::string>{});
}

TEST(Fetching, ARecordOnAnotherClaimKeepsNoCopyHere) {
  for (const char* uri : {"pvc://other/9/model.gguf", "pvc://shared/9/model.gguf", "oci://r/org/llama:1"}) {
    Cluster cluster = remote_cluster();
    cluster.model.spec.storage = {.claim_name = "shared", .size = "", .storage_class = ""};
    cluster.until("Canary");
    api::QuantRevision theirs;
    theirs.metadata.name = "theirs";
    theirs.spec.base = {digest('b'), kSource, "sha256:t", "sha256:c"};
    theirs.spec.artifact = {uri, digest('9'), 400};
    cluster.foreign = {theirs};
    cluster.remove();
    EXPECT_TRUE(cluster.gone);
    EXPECT_EQ(cluster.disk.contains(copy_of(kSource)), !std::string_view(uri).starts_with("pvc://other"))
        << uri;
  }
}

TEST(Fetching, DeletionKeepsTheBaseOfAPinnedRevision) {
  Cluster cluster = remote_cluster();
  cluster.model.spec.storage = {.claim_name = "shared", .size = "", .storage_class = ""};
  cluster.until("Canary");
  cluster.pinned = {{"QuantRevision", "m-444444444444"}};
  cluster.remove();
  EXPECT_TRUE(cluster.gone);
  EXPECT_EQ(cluster.disk, (std::set<std::string>{copy_of(kSource), std::string(64, '4')}));
}

api::QuantRevision committed() {
  api::QuantRevision out;
  out.metadata.name = "r";
  out.spec.base = {digest('b'), "hf://org/llama", "sha256:t", "sha256:c"};
  out.spec.method = "gguf";
  out.spec.preset = "Q8_0";
  out.spec.tool_version = "1";
  out.spec.artifact = {"oci://r/org/llama-q8:1", digest('9'), 400};
  return out;
}

Cluster environment() {
  Cluster cluster = remote_cluster();
  cluster.foreign = {committed()};
  cluster.remote["oci://r/org/llama-q8:1"] = digest('9');
  cluster.model.spec.evaluation = {};
  cluster.model.spec.quantization = {.candidates = {}, .calibration = {}, .from_revision = "r"};
  return cluster;
}

TEST(Fetching, ARevisionOfAnotherClusterIsServedFromARegistry) {
  Cluster cluster = environment();
  cluster.until("Promoted");
  cluster.wait(std::chrono::seconds(60));
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('9'));
  EXPECT_EQ(Cluster::mounted_at(cluster.objects.at({"Deployment", "m-999999999999"}), "/models/artifact"),
            copy_of("oci://r/org/llama-q8:1", digest('9')));
  EXPECT_EQ(cluster.model.status.artifact->digest, digest('9')) << "its files were read";
  EXPECT_TRUE(cluster.served_missing.empty());
}

TEST(Fetching, NothingOfARevisionIsServedBeforeItsArtifactIsThere) {
  Cluster cluster = environment();
  cluster.remote["oci://r/org/llama-q8:1"] = digest('8');
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "Failed");
  EXPECT_NE(cluster.model.status.summary.message.find("spec.quantization.fromRevision: Job m-fetch-"),
            std::string::npos)
      << cluster.model.status.summary.message;
  for (const auto& [key, object] : cluster.objects) EXPECT_NE(key.first, "Deployment");
}

}  // namespace
}  // namespace stepdown::rollout
