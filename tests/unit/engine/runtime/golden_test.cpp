#include <future>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/runtime/engine.h"

namespace stepdown::runtime {
namespace {

// Checkpoints and figures that transformers wrote: tests/goldens/runtime/make_models.py.
std::filesystem::path golden_folder(const std::string& name) {
  return std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime" / name;
}

struct Golden {
  explicit Golden(const std::string& name)
      : json(nlohmann::json::parse(read_file(golden_folder(name) / "golden.json"))),
        tokens(json.at("tokens").get<std::vector<TokenId>>()) {}
  nlohmann::json json;
  std::vector<TokenId> tokens;
};

struct Case {
  std::string name;
  EngineOptions options;
  double tolerance;  ///< binary16 keys and values alone cost 1e-3 to 6e-3 here

  double cosine() const {
    return options.kv_type == KvType::kF16 ? 0.99999 : options.kv_type == KvType::kInt8 ? 0.999 : 0.98;
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* name :
       {"tied_gqa", "untied_mha", "llama3_rope", "linear_rope", "yarn_rope", "mistral", "qwen2", "qwen3",
        "gemma2", "gemma3", "phi3", "granite", "olmo2", "smollm3", "mixtral", "qwen3_moe"}) {
    all.push_back({name, {.threads = 1}, 1e-2});
    all.push_back({name, {.threads = 2, .prefill_chunk = 7}, 1e-2});
    all.push_back({name, {.kv_type = KvType::kInt8, .threads = 1}, 0.15});
    all.push_back({name, {.kv_type = KvType::kFp8, .f16_kv_layers = {0}, .threads = 1}, 0.5});
  }
  return all;
}

class TransformersGolden : public testing::TestWithParam<Case> {};

TEST_P(TransformersGolden, ScoresAgree) {
  const Golden golden(GetParam().name);
  Engine engine(formats::open_model(golden_folder(GetParam().name)), GetParam().options);
  const std::vector<float> scores = engine.score(golden.tokens);
  ASSERT_EQ(scores.size(), golden.tokens.size() - 1);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    EXPECT_NEAR(scores[i], golden.json["scores"][i].get<double>(), GetParam().tolerance) << "token " << i + 1;
  }
}

TEST_P(TransformersGolden, EmbeddingsAgree) {
  const Golden golden(GetParam().name);
  Engine engine(formats::open_model(golden_folder(GetParam().name)), GetParam().options);
  const std::vector<float> embedding = engine.embed(golden.tokens);
  ASSERT_EQ(embedding.size(), golden.json["embedding"].size());
  double cosine = 0.0;
  double length = 0.0;
  for (std::size_t i = 0; i < embedding.size(); ++i) {
    cosine += static_cast<double>(embedding[i]) * golden.json["embedding"][i].get<double>();
    length += static_cast<double>(embedding[i]) * static_cast<double>(embedding[i]);
  }
  EXPECT_NEAR(length, 1.0, 1e-5);
  EXPECT_GT(cosine, GetParam().cosine());
}

TEST_P(TransformersGolden, GreedyTokensAgree) {
  if (GetParam().options.kv_type != KvType::kF16) GTEST_SKIP() << "near ties may fall either way";
  const Golden golden(GetParam().name);
  Engine engine(formats::open_model(golden_folder(GetParam().name)), GetParam().options);
  std::vector<TokenEvent> events;
  std::promise<void> done;
  GenerateRequest request{.prompt = golden.tokens,
                          .max_tokens = static_cast<std::int64_t>(golden.json["greedy"].size())};
  request.sampling.logit_bias = {{0, -1000.0f}};
  request.on_event = [&](const TokenEvent& event) {
    events.push_back(event);
    if (event.finish) done.set_value();
  };
  ASSERT_FALSE(engine.submit(std::move(request)).refusal);
  done.get_future().wait();
  ASSERT_EQ(events.size(), golden.json["greedy"].size() + 1);
  EXPECT_EQ(events.back().finish, FinishReason::kLength);
  for (std::size_t i = 0; i + 1 < events.size(); ++i) {
    const auto& expected = golden.json["greedy"][i];
    EXPECT_EQ(events[i].token, expected["token"].get<TokenId>()) << i;
    EXPECT_NEAR(events[i].logprob, expected["logprob"].get<double>(), 5e-3);
    EXPECT_NEAR(events[i].entropy, expected["entropy"].get<double>(), 5e-3);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, TransformersGolden, testing::ValuesIn(cases()), [](const auto& info) {
  return info.param.name + "_" + std::string(model::kv_type_name(info.param.options.kv_type)) + "_" +
         std::to_string(info.param.options.threads);
});

}  // namespace
}  // namespace stepdown::runtime
