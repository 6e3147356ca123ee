#include "operator/rollout/children/engine.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/compat/matrix.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

api::QuantizedModel model_on(const std::string& engine, std::int64_t gpus, const std::string& kv_type) {
  api::QuantizedModel model;
  model.metadata = {.name = "m", .ns = "default", .uid = "u"};
  model.spec.model.source = "pvc://models/base";
  model.spec.serving.engine = engine;
  model.spec.serving.context_length = 4096;
  model.spec.serving.concurrency = 2;
  model.spec.kv_cache.type = kv_type;
  if (gpus > 0)
    model.spec.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = gpus};
  return model;
}

json container_of(const api::QuantizedModel& model, const std::string& source) {
  const api::ModelFacts base{
      .digest = "sha256:b", .format = "safetensors", .architecture = "llama", .size = 100};
  const auto profile = compat::effective_profile(model.spec.serving.engine, std::nullopt);
  const Engine engine{.name = "m-1",
                      .digest = "sha256:a",
                      .source = source,
                      .bytes = 50,
                      .kv_type = model.spec.kv_cache.type};
  const auto objects = children::engine(model, {"engine:1", "gateway:1"}, profile, base, engine);
  return objects.at(0).at("spec").at("template").at("spec").at("containers").at(0);
}

bool has_run(const json& args, const std::vector<std::string>& wanted) {
  const auto list = args.get<std::vector<std::string>>();
  return std::search(list.begin(), list.end(), wanted.begin(), wanted.end()) != list.end();
}

TEST(EngineProfileArguments, FollowFormatCacheAndParallelism) {
  const json vllm = container_of(model_on("vllm", 2, "fp8"), "pvc://artifacts/a");
  EXPECT_EQ(vllm["image"], "vllm/vllm-openai:v0.15.1");
  EXPECT_EQ(vllm["command"], (json{"vllm", "serve"}));
  EXPECT_EQ(vllm["args"][0], "$(MODEL_PATH)") << "by position: --model is deprecated";
  EXPECT_TRUE(has_run(vllm["args"], {"--tensor-parallel-size=$(ACCELERATORS)"}));
  EXPECT_TRUE(has_run(vllm["args"], {"--kv-cache-dtype=fp8"}));
  EXPECT_FALSE(has_run(vllm["args"], {"--tokenizer=$(BASE_PATH)"}));

  const json gguf = container_of(model_on("vllm", 1, "fp16"), "pvc://artifacts/a/model.gguf");
  EXPECT_TRUE(has_run(gguf["args"], {"--tokenizer=$(BASE_PATH)"}));
  EXPECT_FALSE(has_run(gguf["args"], {"--tensor-parallel-size=$(ACCELERATORS)"}));

  const json sglang = container_of(model_on("sglang", 4, "fp8"), "pvc://artifacts/a");
  EXPECT_EQ(sglang["command"], (json{"python3", "-m", "sglang.launch_server"}));
  EXPECT_TRUE(has_run(sglang["args"], {"--tp-size=$(ACCELERATORS)"}));

  const json llama = container_of(model_on("llama.cpp", 0, "int8"), "pvc://artifacts/a/model.gguf");
  EXPECT_EQ(llama["image"], "ghcr.io/ggml-org/llama.cpp:server-b8643");
  EXPECT_TRUE(
      has_run(llama["args"], {"--flash-attn", "on", "--cache-type-k", "q8_0", "--cache-type-v", "q8_0"}));
  const json total = {{"name", "TOTAL_CONTEXT"}, {"value", "8192"}};
  EXPECT_TRUE(std::ranges::find(llama["env"], total) != llama["env"].end());
  EXPECT_EQ(container_of(model_on("llama.cpp", 1, "fp16"), "pvc://artifacts/a/model.gguf")["image"],
            "ghcr.io/ggml-org/llama.cpp:server-cuda-b8643");
  EXPECT_TRUE(has_run(llama["args"], {"--cache-ram", "0"})) << "else 8 GiB of prompts beside the KV cache";

  const json trt = container_of(model_on("tensorrt-llm", 2, "fp8"), "pvc://artifacts/a");
  EXPECT_EQ(trt["command"][0], "sh");
  EXPECT_TRUE(
      has_run(trt["args"], {"--extra_llm_api_options=/tmp/options.yaml", "--tp_size=$(ACCELERATORS)"}));
}

TEST(EngineProfileArguments, TheBundledEngineKeepsItsOwn) {
  const json bundled = container_of(model_on("stepdown", 0, "int8"), "pvc://artifacts/a/model.gguf");
  EXPECT_EQ(bundled["image"], "engine:1");
  EXPECT_EQ(bundled["args"][0], "serve");
  EXPECT_FALSE(bundled.contains("command"));
}

}  // namespace
}  // namespace stepdown::rollout::children
