#include "operator/compat/rules.h"

#include <functional>

#include <gtest/gtest.h>

#include "operator/compat/memory_fit.h"

namespace stepdown::compat {
namespace {

api::QuantizedModelSpec good_spec() {
  api::QuantizedModelSpec spec;
  spec.model.source = "file:///models/base";
  spec.evaluation.dataset = "file:///data/eval.jsonl";
  spec.quantization.candidates = {{"gguf", "Q4_K_M", {}, {}}};
  return spec;
}

Inventory good_inventory() {
  Inventory inventory;
  inventory.model =
      api::ModelFacts{.digest = "sha256:base", .format = "gguf", .context_length = 4096, .size = 1000 << 20};
  inventory.model->memory = {1000 << 20, 64 << 10, 10 << 20};
  return inventory;
}

struct RuleCase {
  const char* name;
  std::function<void(api::QuantizedModelSpec&, Inventory&)> change;
  std::vector<std::string> found;  ///< "id severity path"
};

TEST(Judge, FindsEachFaultAtItsPath) {
  const RuleCase cases[] = {
      {"nothing wrong", [](auto&, auto&) {}, {}},
      {"s3 source", [](auto& s, auto&) { s.model.source = "s3://b/m"; }, {"SD001 error spec.model.source"}},
      {"escaping source",
       [](auto& s, auto&) { s.model.source = "file:///a/../etc"; },
       {"SD001 error spec.model.source"}},
      {"dataset",
       [](auto& s, auto&) { s.evaluation.dataset = "eval.jsonl"; },
       {"SD001 error spec.evaluation.dataset"}},
      {"method",
       [](auto& s, auto&) {
         s.quantization.candidates.push_back({"gguf", "Q9", {}, {}});
       },
       {"SD002 error spec.quantization.candidates[1]"}},
      {"adapters",
       [](auto& s, auto&) {
         s.model.adapters = {{"file:///a", 1}};
       },
       {"SD003 error spec.model.adapters"}},
      {"no fallback",
       [](auto& s, auto&) { s.rollout.fallback.replicas = 0; },
       {"SD004 error spec.rollout.fallback.replicas"}},
      {"no memory for FP16",
       [](auto& s, auto&) { s.serving.hardware = api::HardwareSpec{.memory = "1000Mi"}; },
       {"SD005 error spec.serving.hardware.memory", "SD005 warning spec.quantization.candidates[0]"}},
      {"memory for two of four FP16 sequences",
       [](auto& s, auto&) { s.serving.hardware = api::HardwareSpec{.memory = "1600Mi"}; },
       {"SD005 warning spec.serving.concurrency"}},
      {"candidate too large",
       [](auto& s, auto&) {
         s.serving.hardware = api::HardwareSpec{.memory = "1600Mi"};
         s.serving.concurrency = 64;
       },
       {"SD005 warning spec.serving.concurrency", "SD005 warning spec.quantization.candidates[0]"}},
      {"context",
       [](auto& s, auto&) { s.serving.context_length = 8192; },
       {"SD006 error spec.serving.contextLength"}},
      {"3 bits with a schema",
       [](auto& s, auto&) {
         s.quantization.candidates = {{"gguf", "Q3_K_S", {}, {}}};
         s.evaluation.suites = {{R"({"type":"jsonSchema"})"}};
       },
       {"SD007 warning spec.quantization.candidates[0]"}},
      {"int8 KV", [](auto& s, auto&) { s.kv_cache.type = "int8"; }, {"SD008 warning spec.kvCache.type"}},
      {"int4 KV", [](auto& s, auto&) { s.kv_cache.type = "int4"; }, {"SD009 error spec.kvCache.type"}},
      {"cpu fallback",
       [](auto& s, auto&) { s.rollout.fallback.placement = "cpu"; },
       {"SD010 error spec.rollout.fallback.placement"}},
      {"cold fallback",
       [](auto& s, auto&) { s.rollout.fallback.residency = "onDemand"; },
       {"SD010 error spec.rollout.fallback.residency"}},
      {"pin differs",
       [](auto& s, auto&) { s.model.revision = "sha256:other"; },
       {"SD011 error spec.model.revision"}},
      {"revision of another base",
       [](auto&, auto& i) {
         i.from_revision.emplace();
         i.from_revision->spec.base.digest = "sha256:other";
       },
       {"SD011 error spec.quantization.fromRevision"}},
      {"no dataset",
       [](auto& s, auto&) { s.evaluation.dataset = ""; },
       {"SD012 warning spec.evaluation.dataset"}},
      {"falling weights",
       [](auto& s, auto&) {
         s.rollout.steps = {{25, "1s"}, {5, "1s"}};
       },
       {"SD013 error spec.rollout.steps[1].weight"}},
      {"hold",
       [](auto& s, auto&) {
         s.rollout.steps = {{25, "soon"}};
       },
       {"SD013 error spec.rollout.steps[0].hold"}},
      {"metric",
       [](auto& s, auto&) { s.evaluation.slo["jsonpass"].min = 0.9; },
       {"SD014 error spec.evaluation.slo[jsonpass]"}},
      {"engine without gguf",
       [](auto& s, auto& i) {
         s.serving.engine = "vllm";
         i.profile.emplace();
         i.profile->spec.formats = {"awq", "safetensors"};
       },
       {"SD015 error spec.quantization.candidates[0]", "SD015 error spec.serving.engine"}},
  };
  for (const RuleCase& test : cases) {
    api::QuantizedModelSpec spec = good_spec();
    Inventory inventory = good_inventory();
    test.change(spec, inventory);
    std::vector<std::string> found;
    for (const Finding& each : judge(spec, inventory)) {
      found.push_back(each.id + (each.severity == Severity::kError ? " error " : " warning ") + each.path);
      EXPECT_FALSE(each.message.empty() || each.mend.empty()) << test.name;
    }
    EXPECT_EQ(found, test.found) << test.name;
  }
}

TEST(Judge, IsSilentAboutFactsNotYetKnown) {
  EXPECT_TRUE(judge(good_spec(), {}).empty());
}

TEST(SequencesThatFit, StaysWithinAskedAndMemory) {
  api::QuantizedModelSpec spec = good_spec();
  const Footprint footprint{100, 10, 5};
  EXPECT_EQ(sequences_that_fit(spec, footprint), 4);
  const std::pair<const char*, std::int64_t> cases[] = {{"104", 0}, {"115", 1}, {"134", 2}, {"1Gi", 4}};
  for (const auto& [memory, sequences] : cases) {
    spec.serving.hardware = api::HardwareSpec{.memory = memory};
    EXPECT_EQ(sequences_that_fit(spec, footprint), sequences) << memory;
  }
}

}  // namespace
}  // namespace stepdown::compat
