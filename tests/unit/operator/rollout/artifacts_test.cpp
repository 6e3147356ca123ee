// What lies on the claim. Each test asserts the disk of a cluster in memory.
#include "operator/rollout/artifacts.h"

#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

namespace stepdown::rollout {
namespace {

using testing::Cluster;
using testing::digest;

std::set<std::string> hex(std::initializer_list<char> digits) {
  std::set<std::string> out;
  for (const char digit : digits) out.insert(std::string(64, digit));
  return out;
}

void settle(Cluster& cluster) {
  for (int i = 0; i < 3; ++i) cluster.wait(std::chrono::seconds(60));
}

bool collects(const Cluster& cluster) {
  return std::ranges::any_of(cluster.objects, [](const auto& entry) {
    return entry.first.second.find("-collect-") != std::string::npos;
  });
}

TEST(Artifacts, OfLosersGoOnceAnotherIsStable) {
  Cluster cluster;
  cluster.until("Canary");
  EXPECT_EQ(cluster.disk, hex({'4', '8'}));
  cluster.until("Promoted");
  settle(cluster);
  EXPECT_EQ(cluster.disk, hex({'4'}));
  EXPECT_TRUE(cluster.model.status.leftovers.empty());
  EXPECT_FALSE(collects(cluster));
  const api::CandidateStatus& loser = cluster.model.status.candidates[0];
  EXPECT_EQ(loser.uri, "");
  EXPECT_EQ(loser.collected, 1);
  EXPECT_EQ(loser.metrics.at("jsonPass").value, 0.98) << "its figures stay";
  EXPECT_EQ(loser.state, "Passed");
}

TEST(Artifacts, OfALoserAreMadeAgainWhenItWins) {
  Cluster cluster;
  cluster.until("Promoted");
  settle(cluster);
  cluster.edit([](auto& spec) { spec.evaluation.slo["jsonPass"].min = 0.97; });
  cluster.reconcile();
  EXPECT_EQ(cluster.model.status.phase, "Quantizing");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4')) << "serves until the other is there";
  cluster.until("Canary");
  cluster.until("Promoted");
  settle(cluster);
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('8'));
  EXPECT_EQ(cluster.disk, hex({'4', '8'})) << "the first winner's QuantRevision still names its artifact";
  EXPECT_TRUE(cluster.served_missing.empty());

  cluster.edit([](auto& spec) { spec.evaluation.slo["jsonPass"].min = 0.9; });
  cluster.until("Canary");
  cluster.until("Promoted");
  settle(cluster);
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'));
  EXPECT_TRUE(cluster.served_missing.empty());
}

TEST(Artifacts, OfAnotherSpecGoButNotWhatARevisionNames) {
  Cluster cluster;
  cluster.until("Promoted");
  settle(cluster);
  cluster.artifact["Q4_0"] = {digest('5'), 250};
  cluster.json_pass[digest('5')] = 0.97;
  cluster.edit([](auto& spec) { spec.quantization.candidates = {{"gguf", "Q4_0", {}, {}}}; });
  cluster.until("Canary");
  cluster.until("Promoted");
  settle(cluster);
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('5'));
  EXPECT_EQ(cluster.disk, hex({'4', '5'}));
  cluster.drop({"QuantRevision", "m-444444444444"});
  settle(cluster);
  EXPECT_EQ(cluster.disk, hex({'5'})) << "nobody names it any more";
}

TEST(Artifacts, ThatOthersUseStay) {
  struct Case {
    const char* name;
    Elsewhere elsewhere;
  };
  const Case cases[] = {{"another model holds it", {{digest('8')}, {}}},
                        {"another model writes to the claim", {{}, {"shared"}}}};
  for (const Case& test : cases) {
    Cluster cluster;
    cluster.model.spec.storage.claim_name = "shared";
    cluster.elsewhere = test.elsewhere;
    cluster.until("Promoted");
    settle(cluster);
    EXPECT_EQ(cluster.disk, hex({'4', '8'})) << test.name;
    cluster.elsewhere = {};
    cluster.edit([](auto& spec) { spec.serving.concurrency = 3; });
    settle(cluster);
    EXPECT_EQ(cluster.disk, hex({'4'})) << test.name;
  }
}

TEST(Artifacts, AreNotMadeWhileOldOnesAreRemoved) {
  Cluster cluster;
  cluster.until("Canary");
  for (int i = 0; i < 100 && !collects(cluster); ++i) {
    cluster.reconcile();
    if (!collects(cluster)) cluster.world();
    cluster.now += std::chrono::seconds(5);
  }
  ASSERT_TRUE(collects(cluster));
  for (const auto& [key, object] : cluster.objects) {
    if (key.second.find("-collect-") != std::string::npos) cluster.stuck.insert(key.second);
  }
  cluster.edit([](auto& spec) { spec.evaluation.slo["jsonPass"].min = 0.97; });
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.phase, "Quantizing");
  EXPECT_NE(cluster.model.status.candidates[0].message.find("removes old artifacts"), std::string::npos);
  cluster.stuck.clear();
  cluster.until("Promoted");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('8'));
  EXPECT_TRUE(cluster.served_missing.empty());
}

TEST(Artifacts, EndTheSameWhenKilledAfterAnyWrite) {
  for (const std::size_t writes : {1u, 2u, 3u}) {
    Cluster cluster;
    for (int i = 0; i < 240; ++i) {
      cluster.reconcile(writes);
      cluster.world();
      cluster.now += std::chrono::seconds(1);
      if (i == 120) cluster.edit([](auto& spec) { spec.evaluation.slo["jsonPass"].min = 0.97; });
    }
    EXPECT_EQ(cluster.model.status.rollout->stable, digest('8')) << writes;
    EXPECT_EQ(cluster.disk, hex({'4', '8'})) << writes;
    EXPECT_TRUE(cluster.served_missing.empty()) << writes;
    EXPECT_FALSE(collects(cluster)) << writes;
  }
}

TEST(Deletion, LeavesNothingOnAClaimThatOutlivesTheModel) {
  for (const std::size_t writes : {1u, 1000u}) {
    Cluster cluster;
    cluster.model.spec.storage.claim_name = "shared";
    cluster.until("Canary");
    cluster.model.metadata.deleting = true;
    for (int i = 0; i < 200 && !cluster.gone; ++i) {
      cluster.reconcile(writes);
      cluster.world();
    }
    EXPECT_TRUE(cluster.gone);
    EXPECT_TRUE(cluster.disk.empty());
  }
}

TEST(Deletion, KeepsWhatAPinnedRevisionNames) {
  Cluster cluster;
  cluster.model.spec.storage.claim_name = "shared";
  cluster.until("Canary");
  cluster.pinned = {{"QuantRevision", "m-444444444444"}};
  cluster.remove();
  EXPECT_TRUE(cluster.gone);
  EXPECT_EQ(cluster.disk, hex({'4'}));
}

/// The cluster's model is being deleted, and of its children nothing is left but what lies on a claim that
/// stays.
Observed before_collection(Cluster& cluster) {
  cluster.model.spec.storage.claim_name = "shared";
  cluster.until("Canary");
  cluster.model.metadata.deleting = true;
  Observed seen = cluster.observe();
  seen.children.clear();
  seen.deployments.clear();
  seen.revisions.clear();
  return seen;
}

TEST(Deletion, IsNotHeldUpByACollectionThatIsRefused) {
  Cluster cluster;
  Observed seen = before_collection(cluster);
  EXPECT_EQ(make_plan(seen, cluster.settings, cluster.now).create.size(), 1u) << "the Job that removes them";
  seen.obstacles = {{"ChildRefused", "exceeded quota"}};
  const Plan plan = make_plan(seen, cluster.settings, cluster.now);
  EXPECT_TRUE(plan.create.empty());
  EXPECT_EQ(plan.finalizers, std::vector<std::string>{});
}

/// What a model that is being deleted plans while the Job that tidies its claim up waits for this.
Plan plan_while_collection_waits(const std::string& waiting) {
  Cluster cluster;
  Observed seen = before_collection(cluster);
  const auto created = make_plan(seen, cluster.settings, cluster.now).create;
  EXPECT_EQ(created.size(), 1u);
  seen.jobs = {{.name = created.front().at("metadata").at("name"), .waiting = waiting, .may_start = true}};
  return make_plan(seen, cluster.settings, cluster.now);
}

TEST(Deletion, IsNotHeldUpByAClaimThatWasDeletedToo) {
  const Plan plan = plan_while_collection_waits(
      R"(Unschedulable: 0/3 nodes are available: persistentvolumeclaim "shared" not found.)");
  EXPECT_EQ(plan.finalizers, std::vector<std::string>{});
}

TEST(Deletion, TellsWhatItsCollectionWaitsFor) {
  const Plan plan =
      plan_while_collection_waits("Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.");
  EXPECT_EQ(plan.finalizers, std::nullopt);
  EXPECT_NE(plan.status.summary.message.find("Insufficient cpu"), std::string::npos)
      << plan.status.summary.message;
}

TEST(Deletion, IsNotHeldUpByACollectionThatFails) {
  Cluster cluster;
  cluster.model.spec.storage.claim_name = "shared";
  cluster.until("Canary");
  cluster.job_failure["artifacts"] = "DeadlineExceeded";
  cluster.remove();
  EXPECT_TRUE(cluster.gone);
}

}  // namespace
}  // namespace stepdown::rollout
