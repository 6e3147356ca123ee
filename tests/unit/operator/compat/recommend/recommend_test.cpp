#include "operator/compat/recommend/recommend.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/api/yaml.h"
#include "operator/compat/rules.h"

namespace stepdown::compat {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

api::ModelFacts facts(const std::string& format, const std::string& architecture, std::int64_t weights,
                      std::int64_t kv_per_token, std::int64_t kv_heads = 8) {
  api::ModelFacts out{
      .format = format, .architecture = architecture, .context_length = 131072, .size = weights};
  out.memory = {.weights = weights,
                .kv_per_token = kv_per_token,
                .kv_heads = kv_heads,
                .head_dim = 128,
                .activations = 300 << 20};
  return out;
}

// As the published checkpoints' headers say.
const api::ModelFacts kLlama8b = facts("safetensors", "llama", 16'060'522'496, 131'072);
const api::ModelFacts kLlama70b = facts("safetensors", "llama", 141'107'412'992, 327'680);
const api::ModelFacts kSmol = facts("gguf", "llama", 269'060'544, 23'040, 3);

Wish wish(const api::ModelFacts& model, const char* hardware, std::int64_t concurrency = 5) {
  return {.name = "wished",
          .source = model.format == "gguf" ? "pvc://models/wished.gguf" : "pvc://models/wished",
          .model = model,
          .device = *find_device(hardware),
          .context = 8192,
          .concurrency = concurrency};
}

nlohmann::json manifest(const Recommendation& found) {
  return nlohmann::json::parse(found.manifest.text, nullptr, false);
}

api::QuantizedModelSpec spec(const Recommendation& found) {
  return api::parse_quantized_model(manifest(found), api::UnknownFields::kRefuse).spec;
}

TEST(Recommend, NeverGivesWhatARuleRefuses) {
  api::ModelFacts quantized = kLlama8b, unknown = kLlama8b, split = kLlama8b, bitnet = kLlama8b;
  quantized.format = "awq";
  unknown.memory.kv_per_token = 0;
  split.memory.kv_heads = 3;
  bitnet.architecture = "bitnet";
  const api::ModelFacts models[] = {kLlama8b, kLlama70b, kSmol, quantized, unknown, split, bitnet};
  int given = 0, refused = 0;
  for (const api::ModelFacts& model : models) {
    for (const Device& device : devices()) {
      for (const Purpose& purpose : purposes()) {
        for (const std::int64_t concurrency : {1, 64}) {
          for (const bool adapted : {false, true}) {
            if (adapted && &model != &models[0]) continue;
            Wish asked = wish(model, "cpu", concurrency);
            asked.device = device;
            if (adapted) asked.adapters = {{"pvc://models/lora", 1}};
            const Recommendation found = recommend(asked, purpose);
            ASSERT_GE(found.reasons.size(), 3U);
            if (found.manifest.text.empty()) {
              ++refused;
              EXPECT_THAT(found.reasons.back(), StartsWith("nothing fits: "));
              continue;
            }
            ++given;
            const std::string yaml = api::to_yaml(nlohmann::ordered_json::parse(found.manifest.text));
            const auto documents = api::documents_from_yaml(yaml, "recommended");
            ASSERT_EQ(documents.at(0), manifest(found)) << yaml;
            const Inventory known{.model = found.facts};
            for (const Finding& each : judge(spec(found), known)) {
              EXPECT_NE(each.severity, Severity::kError)
                  << device.name << ' ' << purpose.name << ": " << each.id << ' ' << each.message << '\n'
                  << yaml;
              EXPECT_THAT(each.id, Not(AnyOf("SD019", "SD040", "SD022", "SD031", "SD034", "SD054")))
                  << each.message << '\n'
                  << yaml;
            }
          }
        }
      }
    }
  }
  EXPECT_GT(given, 500) << "of the models that can be quantized and fit";
  EXPECT_GT(refused, 500) << "a quantized base, an unknown cache, heads that do not split";
}

TEST(Recommend, AModelThatIsFetchedGetsRoom) {
  Wish asked = wish(kLlama8b, "cpu");
  EXPECT_EQ(recommend(asked, *find_purpose("chat")).manifest.text.find("\"storage\":"), std::string::npos);
  asked.source = "hf://org/llama";
  const std::string found = recommend(asked, *find_purpose("chat")).manifest.text;
  EXPECT_NE(found.find("\"storage\":"), std::string::npos) << found;
}

struct Scenario {
  const char* name;
  Wish wish;
  const char* task;
  const char* platform;
  const char* engine;
  const char* first_candidate;
  const char* kv_type;
};

TEST(Recommend, AnswersEachScenarioOfTheFieldGuide) {
  Wish qlora = wish(kLlama8b, "rtx-4090");
  qlora.adapters = {{"pvc://models/lora", 1}};
  const Scenario scenarios[] = {
      {"single NVIDIA GPU", wish(kLlama8b, "rtx-4090"), "chat", "single-nvidia-gpu", "vllm", "awq/4", "fp16"},
      {"CPU", wish(kLlama8b, "cpu"), "chat", "cpu-or-mac", "stepdown", "gguf/Q4_K_M", "fp16"},
      {"Mac", wish(kSmol, "mac"), "chat", "cpu-or-mac", "stepdown", "gguf/Q4_K_M", "fp16"},
      {"QLoRA", qlora, "chat", "single-nvidia-gpu", "vllm", "awq/4", "fp16"},
      {"H100, many tenants", wish(kLlama8b, "h100", 64), "chat", "h100-multi-tenant", "vllm", "fp8", "fp8"},
      {"mathematics missed", wish(kLlama8b, "rtx-4090"), "math", "single-nvidia-gpu", "vllm", "fp8", "fp16"},
      {"mathematics on CPU", wish(kLlama8b, "cpu"), "math", "cpu-or-mac", "stepdown", "gguf/Q6_K", "fp16"},
      {"structured JSON", wish(kLlama8b, "rtx-4090"), "json", "single-nvidia-gpu", "vllm", "awq/4", "fp16"},
      {"phone NPU", wish(kLlama8b, "phone-npu"), "chat", "phone-npu", "stepdown", "int8", "fp16"},
      {"regulated audit", wish(kLlama8b, "l40s"), "audit", "single-nvidia-gpu", "vllm", "fp8", "fp16"},
      {"no AWQ kernels", wish(kLlama8b, "v100"), "chat", "single-nvidia-gpu", "vllm", "gptq/4", "fp16"},
      {"GGUF alone", wish(kLlama8b, "rx-7900-xtx"), "chat", "other-gpu", "llama.cpp", "gguf/Q4_K_M", "fp16"},
  };
  for (const Scenario& test : scenarios) {
    const Recommendation found = recommend(test.wish, *find_purpose(test.task));
    ASSERT_FALSE(found.manifest.text.empty()) << test.name << ": " << testing::PrintToString(found.reasons);
    const auto got = spec(found);
    EXPECT_EQ(found.platform, test.platform) << test.name;
    EXPECT_EQ(got.serving.engine, test.engine) << test.name;
    EXPECT_EQ(got.quantization.candidates.at(0).name(), test.first_candidate) << test.name;
    EXPECT_EQ(got.kv_cache.type, test.kv_type) << test.name;
    EXPECT_THAT(found.reasons[0], StartsWith(std::string(test.platform) + ": "));
    EXPECT_THAT(found.reasons[1], StartsWith(std::string(test.task) + ": "));
  }
}

TEST(Recommend, SaysWhatFp16AndTheCandidateTakeTogether) {
  const Purpose& chat = *find_purpose("chat");
  EXPECT_THAT(recommend(wish(kLlama8b, "rtx-4090"), chat, {}).reasons,
              Contains(HasSubstr("have 2 x rtx-4090 in all")));
  EXPECT_THAT(recommend(wish(kLlama8b, "t4"), chat, {}).reasons, Contains(HasSubstr("have 4 x t4 in all")));
  EXPECT_THAT(recommend(wish(kLlama8b, "cpu"), chat, {}).reasons, Contains(HasSubstr(" GiB in all")));
  EXPECT_THAT(recommend(wish(kLlama8b, "rtx-4090"), *find_purpose("audit"), {}).reasons,
              Contains(StartsWith("pin the base")));
}

TEST(Recommend, SaysTheWayOutOfAPhonesNpu) {
  const Recommendation found = recommend(wish(kLlama8b, "phone-npu"), *find_purpose("chat"));
  EXPECT_THAT(found.reasons[0], HasSubstr("vendor's SDK"));
  EXPECT_TRUE(spec(found).serving.hardware->accelerator.empty()) << "no pod is asked onto an NPU";
}

TEST(Recommend, MergesAdaptersFirst) {
  Wish asked = wish(kLlama8b, "cpu");
  asked.adapters = {{"pvc://models/lora", 1}};
  const Recommendation found = recommend(asked, *find_purpose("chat"));
  EXPECT_EQ(spec(found).model.adapters.at(0).source, "pvc://models/lora");
  EXPECT_THAT(found.reasons, Contains(StartsWith("qlora: ")));
  asked = wish(kLlama8b, "rtx-4090");
  asked.adapters = {{"pvc://models/lora", 1}};
  const Recommendation merged = recommend(asked, *find_purpose("chat"));
  EXPECT_EQ(spec(merged).model.source, "pvc://models/wished-merged");
  EXPECT_TRUE(spec(merged).model.adapters.empty()) << "vllm serves FP16 as it lies";
  EXPECT_THAT(merged.reasons, Contains(HasSubstr("merge the adapters into it first")));
}

TEST(Recommend, TakesMoreAcceleratorsWhereOneIsTooSmall) {
  const auto got = spec(recommend(wish(kLlama70b, "h100"), *find_purpose("chat")));
  EXPECT_EQ(got.serving.hardware->count, 2);
  EXPECT_EQ(got.serving.hardware->memory, "160Gi");
  api::ModelFacts huge = kLlama70b;
  huge.size = huge.memory.weights *= 10;
  const Recommendation none = recommend(wish(huge, "rtx-4060"), *find_purpose("chat"));
  EXPECT_TRUE(none.manifest.text.empty());
  EXPECT_THAT(none.reasons.back(), HasSubstr("(SD005)"));
}

TEST(Recommend, NamesCpusForFp16WhereAcceleratorsAreFew) {
  const Recommendation one = recommend(wish(kLlama8b, "rtx-4090"), *find_purpose("chat"));
  EXPECT_EQ(spec(one).rollout.fallback.placement, "sameGPU");
  EXPECT_THAT(one.reasons,
              Contains(StartsWith("with fewer, set rollout.fallback.placement to cpu: 1 x rtx-4090")));
  const Recommendation halves = recommend(wish(kLlama8b, "t4"), *find_purpose("chat"));
  EXPECT_EQ(spec(halves).serving.hardware->count, 2);
  EXPECT_THAT(halves.reasons,
              Contains(StartsWith("with fewer, set rollout.fallback.placement to cpu: 1 x t4")));
  EXPECT_THAT(recommend(wish(kLlama8b, "h100", 64), *find_purpose("chat")).reasons,
              Not(Contains(StartsWith("with fewer"))))
      << "CPUs do not carry 64 sequences";
  api::ModelFacts foreign = kLlama8b;
  foreign.architecture = "starcoder2";
  EXPECT_THAT(recommend(wish(foreign, "rtx-4090"), *find_purpose("chat")).reasons,
              Not(Contains(StartsWith("with fewer"))))
      << "the bundled engine does not run it";
}

TEST(Recommend, PutsFp16OnCpusWhereNoAcceleratorsHoldIt) {
  const Recommendation found = recommend(wish(kLlama70b, "rtx-4060"), *find_purpose("chat"));
  EXPECT_EQ(spec(found).rollout.fallback.placement, "cpu");
  EXPECT_THAT(found.reasons, Contains(HasSubstr("on CPUs for FP16, which answers slowly there")));
}

TEST(Recommend, TakesASmallerCacheBeforeMoreHardware) {
  Wish asked = wish(kLlama8b, "rtx-4090");
  asked.context = 32768;
  asked.concurrency = 4;
  const Recommendation found = recommend(asked, *find_purpose("chat"));
  EXPECT_EQ(spec(found).kv_cache.type, "fp8");
  EXPECT_EQ(spec(found).kv_cache.max_attention_error, 0.06);
  EXPECT_THAT(found.reasons, Contains(HasSubstr("attention check")));
}

TEST(Recommend, ConvertsForAnEngineThatReadsGgufAlone) {
  const Recommendation found = recommend(wish(kLlama8b, "rx-7900-xtx"), *find_purpose("chat"));
  EXPECT_EQ(spec(found).model.source, "pvc://models/wished.gguf");
  EXPECT_THAT(found.reasons, Contains(HasSubstr("stepdown-engine convert")));
}

TEST(Recommend, GoesByTheClustersOwnProfiles) {
  Cluster cluster;
  api::EngineProfile own;
  own.metadata.name = "vllm";
  own.spec.support = {{.formats = {"awq"}, .verdict = "refused", .note = "not in our build"}};
  cluster.profiles["vllm"] = own;
  const Recommendation found = recommend(wish(kLlama8b, "rtx-4090"), *find_purpose("chat"), cluster);
  EXPECT_EQ(spec(found).quantization.candidates.at(0).name(), "gptq/4");
  EXPECT_THAT(found.reasons, Contains(HasSubstr("not in our build")));
}

}  // namespace
}  // namespace stepdown::compat
