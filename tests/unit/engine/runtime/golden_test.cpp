#include <array>
#include <filesystem>
#include <future>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/quant/gguf_quantizer.h"
#include "engine/runtime/engine.h"

namespace stepdown::runtime {
namespace {

namespace fs = std::filesystem;

const fs::path kGoldens = fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens";

// Checkpoints and figures that transformers wrote: tests/goldens/runtime/make_models.py.
fs::path golden_folder(const std::string& name) {
  return kGoldens / "runtime" / name;
}

struct Golden {
  explicit Golden(const fs::path& file)
      : json(nlohmann::json::parse(read_file(file))), tokens(json.at("tokens").get<std::vector<TokenId>>()) {}
  explicit Golden(const std::string& name) : Golden(golden_folder(name) / "golden.json") {}
  nlohmann::json json;
  std::vector<TokenId> tokens;
};

constexpr std::array kModels = {
    "tied_gqa", "untied_mha", "llama3_rope", "linear_rope", "yarn_rope", "mistral", "qwen2",   "qwen3",
    "gemma2",   "gemma3",     "phi3",        "granite",     "olmo2",     "smollm3", "mixtral", "qwen3_moe"};

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
  for (const char* name : kModels) {
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

void expect_greedy_tokens(const Golden& golden, Engine& engine, double tolerance) {
  std::vector<TokenEvent> events;
  std::promise<void> done;
  GenerateRequest request{.prompt = golden.tokens,
                          .max_tokens = static_cast<std::int64_t>(golden.json["greedy"].size())};
  request.sampling.logit_bias = {{0, -1000.0f}};
  request.ignore_end = true;
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
    EXPECT_NEAR(events[i].logprob, expected["logprob"].get<double>(), tolerance);
    EXPECT_NEAR(events[i].entropy, expected["entropy"].get<double>(), tolerance);
  }
}

TEST_P(TransformersGolden, GreedyTokensAgree) {
  if (GetParam().options.kv_type != KvType::kF16) GTEST_SKIP() << "near ties may fall either way";
  Engine engine(formats::open_model(golden_folder(GetParam().name)), GetParam().options);
  expect_greedy_tokens(Golden(GetParam().name), engine, 5e-3);
}

INSTANTIATE_TEST_SUITE_P(Architectures, TransformersGolden, testing::ValuesIn(cases()), [](const auto& info) {
  return info.param.name + "_" + std::string(model::kv_type_name(info.param.options.kv_type)) + "_" +
         std::to_string(info.param.options.threads);
});

// Files that llama.cpp's own converter wrote: tests/goldens/runtime/make_llamacpp_files.py.
class LlamaCppFile : public testing::TestWithParam<const char*> {
 protected:
  fs::path path(const char* extension) const {
    return kGoldens / "llamacpp" / (std::string(GetParam()) + extension);
  }
};

TEST_P(LlamaCppFile, LogitsAndTokensAgree) {
  const Golden golden(path(".json"));
  Engine engine(formats::open_model(path(".gguf")), {.threads = 1});
  const std::vector<float> scores = engine.score(golden.tokens);
  ASSERT_EQ(scores.size(), golden.tokens.size() - 1);
  for (std::size_t i = 0; i < scores.size(); ++i)
    EXPECT_NEAR(scores[i], golden.json["scores"][i].get<double>(), 1e-2) << "token " << i + 1;
  expect_greedy_tokens(golden, engine, 1e-2);
}

TEST_P(LlamaCppFile, TextIsCutAsItsTokenizerDoes) {
  const Golden golden(path(".json"));
  const tokenizer::Tokenizer tokenizer(formats::open_model(path(".gguf"))->tokenizer());
  EXPECT_EQ(tokenizer.encode(golden.json["text"].get<std::string>(), false),
            golden.json["encoded"].get<std::vector<TokenId>>());
}

INSTANTIATE_TEST_SUITE_P(Architectures, LlamaCppFile,
                         testing::Values("llama", "llama_yarn", "mistral", "mixtral", "qwen2", "qwen3",
                                         "qwen3moe", "gemma2", "gemma3", "phi3", "phi3_long", "granite",
                                         "olmo2", "smollm3"),
                         [](const auto& info) { return std::string(info.param); });

class Converted : public testing::TestWithParam<const char*> {};

TEST_P(Converted, GgufComputesWhatTheFolderDoes) {
  const auto folder = formats::open_model(golden_folder(GetParam()));
  const fs::path file = fs::path(testing::TempDir()) / (std::string("converted_") + GetParam() + ".gguf");
  quant::write_gguf(*folder, quant::plan_f16(*folder), file, 1, "convert");
  const Golden golden{std::string(GetParam())};
  Engine from_folder(formats::open_model(golden_folder(GetParam())), {.threads = 1});
  Engine from_file(formats::open_model(file), {.threads = 1});
  EXPECT_EQ(from_file.score(golden.tokens), from_folder.score(golden.tokens));
  fs::remove(file);
}

INSTANTIATE_TEST_SUITE_P(Architectures, Converted, testing::ValuesIn(kModels),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace stepdown::runtime
