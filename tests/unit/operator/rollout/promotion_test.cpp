// A QuantRevision of another environment: what is verified here before anything of it is served.
#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

#include "operator/rollout/freshness.h"

namespace stepdown::rollout {
namespace {

using testing::Cluster;
using testing::digest;

/// As the other environment committed it.
api::QuantRevision committed() {
  api::QuantRevision out;
  out.metadata.name = "r";
  out.spec.base = {digest('b'), "pvc://models/base", "sha256:t", "sha256:c"};
  out.spec.method = "gguf";
  out.spec.preset = "Q8_0";
  out.spec.tool_version = "1";
  out.spec.artifact = {"pvc://artifacts/r", digest('9'), 400};
  out.spec.evaluation = api::EvaluationRecord{.dataset = "file:///data/eval.jsonl",
                                              .kv_type = "fp16",
                                              .context_length = 4096,
                                              .engine = "stepdown",
                                              .engine_version = "1",
                                              .hardware = ""};
  out.spec.scores["jsonPass"] = {.value = 0.98, .baseline = 0.99};
  return out;
}

Cluster environment(const api::QuantRevision& revision) {
  Cluster cluster;
  cluster.foreign = {revision};
  cluster.model.spec.evaluation = {};
  cluster.model.spec.quantization = {.candidates = {}, .calibration = {}, .from_revision = "r"};
  return cluster;
}

struct RefusalCase {
  const char* name;
  void (*differ)(Cluster&, api::QuantRevision&);
  const char* id;
  const char* where;
  const char* what;
};

compat::Node node(const char* capability) {
  return {.name = "n",
          .labels = {{"nvidia.com/gpu.compute.major", capability}},
          .allocatable = {{"nvidia.com/gpu", "1"}}};
}

const RefusalCase kRefusals[] = {
    {"the artifact's bytes", [](Cluster& c, auto&) { c.artifact_here = digest('a'); }, "SD063",
     "spec.quantization.fromRevision", "holds sha256:aaaa"},
    {"another base", [](Cluster& c, auto&) { c.base = digest('e'); }, "SD011",
     "spec.quantization.fromRevision", "the source has sha256:eeee"},
    {"tokenizer", [](Cluster& c, auto&) { c.tokenizer = "sha256:t2"; }, "SD020",
     "spec.quantization.fromRevision", "tokenizer was sha256:t"},
    {"chat template", [](Cluster& c, auto&) { c.chat_template = "sha256:c2"; }, "SD020",
     "spec.quantization.fromRevision", "chat template was sha256:c"},
    {"engine version", [](Cluster& c, auto&) { c.settings.engine_image = "engine:2"; }, "SD024",
     "spec.serving.engine", "engine version 1, this serves with 2"},
    {"KV type", [](Cluster& c, auto&) { c.model.spec.kv_cache.type = "int8"; }, "SD024", "spec.kvCache.type",
     "fp16, this serves with int8"},
    {"another engine", [](Cluster&, auto& r) { r.spec.evaluation->engine = "llama.cpp"; }, "SD024",
     "spec.serving.engine", "engine llama.cpp"},
    {"another accelerator", [](Cluster&, auto& r) { r.spec.evaluation->hardware = "nvidia.com/gpu"; },
     "SD024", "spec.serving.hardware.accelerator", "this serves on CPU"},
    {"another GPU generation",
     [](Cluster& c, auto& r) {
       r.spec.evaluation->hardware = "nvidia.com/gpu";
       r.spec.evaluation->hardware_class = "hopper";
       c.model.spec.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu"};
       c.nodes = std::vector{node("8")};
     },
     "SD024", "spec.serving.hardware.nodeSelector", "evaluated on hopper, pods may land on ampere"},
    {"more context", [](Cluster& c, auto&) { c.model.spec.serving.context_length = 8192; }, "SD024",
     "spec.serving.contextLength", "at 4096 tokens"},
};

TEST(GitOpsPromotion, IsRefusedWithWhatWhereAndMendBeforeAnyServerStarts) {
  for (const RefusalCase& test : kRefusals) {
    api::QuantRevision revision = committed();
    Cluster cluster = environment(revision);
    test.differ(cluster, revision);
    cluster.foreign = {revision};
    bool deployed = false;
    for (int i = 0; i < 40; ++i) {
      cluster.reconcile();
      cluster.world();
      cluster.now += std::chrono::seconds(1);
      deployed = deployed || !cluster.deployments.empty();
    }
    EXPECT_FALSE(deployed) << test.name;
    EXPECT_EQ(cluster.ready(), "False Incompatible") << test.name;
    const auto& findings = cluster.model.status.findings;
    const auto found = std::ranges::find_if(findings, [&](const api::FindingStatus& each) {
      return each.id == test.id && each.path == test.where &&
             each.message.find(test.what) != std::string::npos && !each.mend.empty();
    });
    EXPECT_NE(found, findings.end())
        << test.name << ": " << api::find_condition(cluster.model.status.conditions, "Compatible")->message;
  }
}

TEST(GitOpsPromotion, OfWhatIsAsRecordedReadsTheArtifactFirstAndServesIt) {
  Cluster cluster = environment(committed());
  bool verified_first = true;
  for (int i = 0; i < 200 && cluster.model.status.phase != "Promoted"; ++i) {
    cluster.reconcile();
    if (!cluster.deployments.empty()) verified_first = verified_first && cluster.model.status.artifact;
    cluster.world();
    cluster.now += std::chrono::seconds(1);
  }
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('9'));
  EXPECT_TRUE(verified_first);
  EXPECT_EQ(cluster.model.status.artifact->digest, digest('9'));
}

TEST(GitOpsPromotion, ServesTheArtifactWhereTheNamedRecordSaysItLies) {
  api::QuantRevision elsewhere = committed();
  elsewhere.metadata.name = "a";
  elsewhere.spec.artifact.uri = "pvc://other/place";
  Cluster cluster = environment(committed());
  cluster.foreign = {elsewhere, committed()};
  cluster.until("Promoted");
  const std::string served = cluster.objects.at({"Deployment", "m-999999999999"}).dump();
  EXPECT_NE(served.find("\"subPath\":\"r\""), std::string::npos) << served;
}

TEST(GitOpsPromotion, AnUnreadableArtifactStallsWithItsPlace) {
  Cluster cluster = environment(committed());
  for (cluster.reconcile(); !cluster.model.status.model; cluster.reconcile()) cluster.world();
  cluster.job_failure["inspect"] = "/models/artifact: no such file";
  cluster.settle_all();
  EXPECT_EQ(cluster.ready(), "False ArtifactUnreadable");
  EXPECT_NE(cluster.model.status.summary.message.find("pvc://artifacts/r"), std::string::npos);
  EXPECT_TRUE(cluster.deployments.empty());
}

TEST(GitOpsPromotion, WhatServesGoesOnWhileTheNextIsRefused) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.settle_all();
  cluster.foreign = {committed()};
  cluster.artifact_here = digest('a');
  cluster.edit([](auto& spec) {
    spec.evaluation = {};
    spec.quantization = {.candidates = {}, .calibration = {}, .from_revision = "r"};
  });
  cluster.settle_all();
  EXPECT_EQ(cluster.ready(), "False Incompatible");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'));
  EXPECT_TRUE(cluster.has("Deployment", "m-444444444444"));
  EXPECT_FALSE(cluster.has("Deployment", "m-999999999999"));
}

}  // namespace
}  // namespace stepdown::rollout
