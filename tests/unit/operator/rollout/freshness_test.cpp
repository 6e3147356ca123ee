// When figures stop to hold, and what becomes of a rollout then.
#include "operator/rollout/freshness.h"

#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

#include "operator/compat/adapters.h"

namespace stepdown::rollout {
namespace {

using api::EvaluationInputs;
using testing::Cluster;
using testing::digest;

EvaluationInputs measured() {
  return {.base = "b",
          .adapters = "none",
          .adapters_digest = "l",
          .tokenizer = "t",
          .chat_template = "c",
          .dataset = "file:///d",
          .dataset_digest = "d",
          .suites = "s",
          .engine = "stepdown 1",
          .kv_type = "fp16",
          .context = "4096",
          .hardware = "nvidia.com/gpu x 1",
          .hardware_class = "ampere"};
}

struct PartCase {
  const char* name;
  std::string EvaluationInputs::*part;
};
constexpr PartCase kParts[] = {{"base hash", &EvaluationInputs::base},
                               {"adapters", &EvaluationInputs::adapters},
                               {"adapters", &EvaluationInputs::adapters_digest},
                               {"tokenizer", &EvaluationInputs::tokenizer},
                               {"chat template", &EvaluationInputs::chat_template},
                               {"dataset", &EvaluationInputs::dataset_digest},
                               {"suites", &EvaluationInputs::suites},
                               {"engine version", &EvaluationInputs::engine},
                               {"KV type", &EvaluationInputs::kv_type},
                               {"context", &EvaluationInputs::context},
                               {"hardware", &EvaluationInputs::hardware},
                               {"hardware class", &EvaluationInputs::hardware_class}};

TEST(Freshness, EachPartThatChangesIsNamedAndAsksForAnotherRound) {
  for (const PartCase& test : kParts) {
    EvaluationInputs now = measured();
    now.*test.part = "other";
    EXPECT_EQ(changed_parts(measured(), now), std::vector<std::string>{test.name});
    EXPECT_NE(identity(measured()), identity(now)) << test.name;
    const api::EvaluationStatus next = evaluation_now(api::EvaluationStatus{measured(), 3, {}}, now);
    EXPECT_EQ(next.round, 4) << test.name;
    EXPECT_EQ(stale_message(next), std::string("evaluation stale: ") + test.name + " changed");
    EXPECT_EQ(evaluation_now(next, now), next) << test.name << ": told once, until it is measured";
  }
}

TEST(Freshness, WhatIsNotKnownNowDidNotChange) {
  for (const PartCase& test : kParts) {
    EvaluationInputs now = measured();
    (now.*test.part).clear();
    const api::EvaluationStatus before{measured(), 1, {}};
    EXPECT_EQ(evaluation_now(before, now), before) << test.name << ": a pool may be scaled to nothing";
  }
  EXPECT_EQ(evaluation_now(std::nullopt, measured()).round, 0);
}

TEST(Freshness, APoolThatGetsAnotherGenerationWasNotMeasuredAndOneThatLosesItWas) {
  EvaluationInputs then = measured(), now = measured();
  now.hardware_class = "ada, ampere";
  EXPECT_EQ(changed_parts(then, now), std::vector<std::string>{"hardware class"});
  std::swap(then, now);
  EXPECT_TRUE(changed_parts(then, now).empty());
  const api::EvaluationStatus before{then, 1, {}};
  EXPECT_EQ(evaluation_now(before, now), before) << "it may grow again to what was measured";
}

TEST(Freshness, ADatasetIsItsDigestWhereverItLies) {
  EvaluationInputs now = measured();
  now.dataset = "pvc://data/d";
  EXPECT_TRUE(changed_parts(measured(), now).empty());
  EXPECT_EQ(identity(measured()), identity(now));
  now.dataset_digest.clear();
  EXPECT_EQ(changed_parts(measured(), now), std::vector<std::string>{"dataset"}) << "not read yet";
}

TEST(Freshness, VersionsAreReadFromImages) {
  const std::pair<const char*, const char*> cases[] = {
      {"stepdown/engine:0.2.0", "0.2.0"},
      {"localhost:5000/stepdown/engine:1@sha256:ab", "1"},
      {"localhost:5000/stepdown/engine@sha256:ab", "sha256:ab"},
      {"localhost:5000/stepdown/engine", "localhost:5000/stepdown/engine"}};
  for (const auto& [image, version] : cases) EXPECT_EQ(image_version(image), version);
}

/// What a user or the world changes in mid-canary, and what it is called.
struct ChangeCase {
  const char* part;
  void (*change)(Cluster&);
  void (*before)(Cluster&) = nullptr;
};

std::vector<compat::Node> gpus(const char* capability) {
  return {{"n", {{"nvidia.com/gpu.compute.major", capability}}, {{"nvidia.com/gpu", "8"}}}};
}

const ChangeCase kChanges[] = {
    {"engine version", [](Cluster& c) { c.settings.engine_image = "engine:2"; }},
    {"KV type", [](Cluster& c) { c.edit([](auto& spec) { spec.kv_cache.type = "int8"; }); }},
    {"context", [](Cluster& c) { c.edit([](auto& spec) { spec.serving.context_length = 2048; }); }},
    {"suites",
     [](Cluster& c) {
       c.edit([](auto& spec) { spec.evaluation.suites = {{R"({"type":"jsonSchema","schema":{}})"}}; });
     }},
    {"dataset",
     [](Cluster& c) { c.edit([](auto& spec) { spec.evaluation.dataset = "file:///data/other.jsonl"; }); }},
    {"hardware",
     [](Cluster& c) {
       c.edit([](auto& spec) { spec.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu"}; });
     }},
    {"hardware class", [](Cluster& c) { c.nodes = gpus("9"); },
     [](Cluster& c) {
       c.nodes = gpus("8");
       c.model.spec.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu"};
     }},
    {"adapters",
     [](Cluster& c) { c.edit([](auto& spec) {
                        spec.model.adapters = {{"file:///models/lora", 0.5}};
                      }); },
     [](Cluster& c) {
       c.base_format = "safetensors";
       c.model.spec.model.adapters = {{"file:///models/lora", 1}};
     }}};

TEST(Freshness, AChangeInMidCanaryHoldsThePromotionUntilAllIsMeasuredAgain) {
  for (const ChangeCase& test : kChanges) {
    Cluster cluster;
    if (test.before != nullptr) test.before(cluster);
    cluster.until("Canary");
    const int before = cluster.evaluations;
    test.change(cluster);
    cluster.reconcile();
    const api::QuantizedModelStatus& status = cluster.model.status;
    const std::string wanted = std::string("evaluation stale: ") + test.part + " changed";
    EXPECT_NE(status.summary.message.find(wanted), std::string::npos) << status.summary.message;
    const api::Condition* evaluated = api::find_condition(status.conditions, "Evaluated");
    EXPECT_EQ(evaluated->status + " " + evaluated->reason, "False Stale") << test.part;
    ASSERT_FALSE(cluster.last.events.empty()) << test.part;
    EXPECT_TRUE(std::ranges::any_of(cluster.last.events, [&](const Event& event) {
      return event.reason == "EvaluationStale" && event.note.starts_with(wanted);
    })) << test.part;
    cluster.command("promote", "", "1");
    cluster.reconcile();
    EXPECT_EQ(status.command->result, "Refused") << test.part;
    EXPECT_EQ(status.rollout->stable, cluster.base) << test.part;
    cluster.until("Promoted");
    EXPECT_EQ(status.phase, "Promoted") << test.part;
    EXPECT_EQ(cluster.evaluations, before + 3) << test.part << ": FP16 and both candidates";
    EXPECT_TRUE(status.evaluation->stale.empty()) << test.part;
    EXPECT_TRUE(cluster.has("QuantRevision", status.stable_revision)) << test.part;
    EXPECT_EQ(cluster.objects.at({"QuantRevision", status.stable_revision})["spec"]["evaluation"]["identity"],
              identity(status.evaluation->inputs))
        << test.part;
  }
}

TEST(Freshness, FilesThatChangedBehindTheirNamesAreFoundBeforeThePromotion) {
  const std::pair<const char*, void (*)(Cluster&)> cases[] = {
      {"dataset", [](Cluster& c) { c.dataset = "sha256:d2"; }},
      {"tokenizer", [](Cluster& c) { c.tokenizer = "sha256:t2"; }},
      {"chat template", [](Cluster& c) { c.chat_template = "sha256:c2"; }}};
  for (const auto& [part, change] : cases) {
    Cluster cluster;
    cluster.until("Starting");
    const int before = cluster.evaluations;
    change(cluster);
    bool told = false;
    for (int i = 0; i < 200 && cluster.model.status.phase != "Promoted"; ++i) {
      cluster.reconcile();
      cluster.world();
      cluster.now += std::chrono::seconds(1);
      for (const Event& event : cluster.last.events) told = told || event.reason == "EvaluationStale";
    }
    EXPECT_TRUE(told) << part;
    EXPECT_EQ(cluster.model.status.phase, "Promoted") << part;
    EXPECT_EQ(cluster.evaluations, before + 3) << part;
  }
}

TEST(Freshness, AdaptersThatChangedBehindTheirNamesAreMergedAndMeasuredAnew) {
  Cluster cluster;
  cluster.base_format = "safetensors";
  cluster.model.spec.model.adapters = {{"file:///models/lora", 1}};
  cluster.model.spec.evaluation.recheck = "1h";
  cluster.until("Promoted");
  cluster.settle_all();
  const int before = cluster.evaluations;
  cluster.wait(std::chrono::hours(2));
  const api::QuantizedModelStatus& status = cluster.model.status;
  EXPECT_EQ(cluster.evaluations, before) << "nothing changed";
  EXPECT_EQ(status.evaluation->inputs.adapters_digest, compat::adapters_digest({"sha256:l"}));
  const std::string first = status.candidates[1].quantize_job;
  cluster.adapter = "sha256:l2";
  cluster.wait(std::chrono::hours(2));
  EXPECT_NE(status.candidates[1].quantize_job, first) << "what was merged is another model";
  EXPECT_EQ(status.candidates[1].adapters.at(0).digest, "sha256:l2");
  EXPECT_EQ(cluster.evaluations, before + 3) << "FP16 and both candidates";
  EXPECT_EQ(status.evaluation->round, 1);
  EXPECT_TRUE(status.evaluation->stale.empty());
  const auto& fp16 = cluster.objects.at({"Deployment", "m-fp16"});
  EXPECT_EQ(fp16["spec"]["template"]["metadata"]["labels"]["stepdown.dev/adapters"],
            status.evaluation->inputs.adapters_digest.substr(7, 12))
      << "FP16 merges them when it starts";
  const int settled = cluster.evaluations;
  cluster.wait(std::chrono::hours(5));
  EXPECT_EQ(cluster.evaluations, settled) << "once";
}

TEST(Freshness, AdaptersThatChangedWhileTheyWereMergedAreFoundBeforeThePromotion) {
  Cluster cluster;
  cluster.base_format = "safetensors";
  cluster.model.spec.model.adapters = {{"file:///models/lora", 1}};
  cluster.until("Starting");
  const int before = cluster.evaluations;
  cluster.adapter = "sha256:l2";
  bool told = false;
  for (int i = 0; i < 300 && cluster.model.status.phase != "Promoted"; ++i) {
    cluster.reconcile();
    cluster.world();
    cluster.now += std::chrono::seconds(1);
    for (const Event& event : cluster.last.events) told = told || event.reason == "EvaluationStale";
  }
  EXPECT_TRUE(told);
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
  EXPECT_EQ(cluster.model.status.candidates[1].adapters.at(0).digest, "sha256:l2");
  EXPECT_EQ(cluster.evaluations, before + 3);
}

TEST(Freshness, ABaseThatChangedIsAnotherModel) {
  Cluster cluster;
  cluster.until("Starting");
  cluster.base = digest('e');
  cluster.json_pass[cluster.base] = 0.99;
  for (int i = 0; i < 300 && cluster.model.status.phase != "Promoted"; ++i) {
    cluster.reconcile();
    cluster.world();
    cluster.now += std::chrono::seconds(1);
  }
  EXPECT_EQ(cluster.model.status.model->digest, digest('e'));
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4'));
}

TEST(Freshness, ARecheckFindsWhatChangedAfterThePromotion) {
  Cluster cluster;
  cluster.model.spec.evaluation.recheck = "1h";
  cluster.until("Promoted");
  cluster.settle_all();
  const int before = cluster.evaluations;
  cluster.wait(std::chrono::hours(2));
  EXPECT_EQ(cluster.evaluations, before) << "nothing changed";
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
  cluster.dataset = "sha256:d2";
  cluster.wait(std::chrono::hours(2));
  EXPECT_EQ(cluster.evaluations, before + 3);
  EXPECT_EQ(cluster.model.status.evaluation->inputs.dataset_digest, "sha256:d2");
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4')) << "it still passes, and went on serving";
}

TEST(Freshness, APromotionWaitsUntilTheFilesAreReadAgain) {
  Cluster cluster;
  cluster.until("Starting");
  cluster.job_failure["inspect"] = "cannot read";
  for (int i = 0; i < 100; ++i) {
    cluster.reconcile();
    cluster.world();
    cluster.now += std::chrono::seconds(1);
  }
  EXPECT_EQ(cluster.model.status.phase, "Canary");
  EXPECT_EQ(cluster.weight(), 100) << "the last step";
  EXPECT_NE(cluster.model.status.summary.message.find("no promotion before"), std::string::npos)
      << cluster.model.status.summary.message;
}

}  // namespace
}  // namespace stepdown::rollout
