#include "engine/eval/kv_check.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::eval {
namespace {

using model::KvType;

struct Model {
  std::unique_ptr<formats::ModelFile> file =
      formats::open_model(std::string(STEPDOWN_SOURCE_DIR) + "/tests/goldens/runtime/untied_mha");
  std::vector<SampleTokens> prompts;

  Model() {
    SampleTokens prompt;
    for (std::int64_t i = 0; i < 100; ++i) {
      prompt.tokens.push_back(static_cast<tokenizer::TokenId>((i * 37 + i * i) % file->config().vocab));
    }
    prompts = {prompt};
  }

  KvCheck check(KvType type, double limit, std::vector<SampleTokens> retrievals = {}) const {
    return check_kv(*file, prompts, retrievals,
                    {.type = type, .max_attention_error = limit, .context = 128, .threads = 1});
  }
};

TEST(KvCheck, MeasuresWhatEachLayersAttentionLoses) {
  const Model model;
  const KvCheck int8 = model.check(KvType::kInt8, 0.02);
  const KvCheck fp8 = model.check(KvType::kFp8, 0.06);
  const KvCheck int4 = model.check(KvType::kInt4, 0.2);
  ASSERT_EQ(int8.errors.size(), static_cast<std::size_t>(model.file->config().layers));
  for (std::size_t layer = 0; layer < int8.errors.size(); ++layer) {
    EXPECT_GT(int8.errors[layer], 1e-4);
    EXPECT_LT(int8.errors[layer], 0.02);
    EXPECT_GT(fp8.errors[layer], int8.errors[layer]) << "3 bits of mantissa against 7";
    EXPECT_LT(fp8.errors[layer], 0.06);
    EXPECT_GT(int4.errors[layer], fp8.errors[layer]);
    EXPECT_LT(int4.errors[layer], 0.2);
  }
  EXPECT_TRUE(int8.f16_layers.empty()) << int8.refusal;
  EXPECT_EQ(int8.tokens, 100);
  EXPECT_NE(int8.perplexity, int8.perplexity_f16);
}

TEST(KvCheck, LayersOverTheLimitKeepF16) {
  const Model model;
  const KvCheck all = model.check(KvType::kInt8, 0.5);
  const auto worst = std::ranges::max_element(all.errors) - all.errors.begin();
  std::vector<double> others = all.errors;
  others.erase(others.begin() + worst);
  const double limit = (all.errors[static_cast<std::size_t>(worst)] + *std::ranges::max_element(others)) / 2;
  const KvCheck some = model.check(KvType::kInt8, limit);
  EXPECT_EQ(some.f16_layers, std::vector<std::int64_t>{worst});
  const nlohmann::json report = to_json(some);
  EXPECT_EQ(report["f16Layers"], nlohmann::json{worst});
  EXPECT_EQ(report["layers"][static_cast<std::size_t>(worst)]["type"], "f16");
  EXPECT_EQ(report["layers"][static_cast<std::size_t>(1 - worst)]["type"], "int8");
}

TEST(KvCheck, NoLayerIsQuantizedWhenAllAreOverTheLimit) {
  const Model model;
  const KvCheck none = model.check(KvType::kFp8, 1e-9);
  EXPECT_EQ(none.f16_layers.size(), none.errors.size());
  EXPECT_EQ(none.perplexity, none.perplexity_f16);
}

TEST(KvCheck, CountsFactsThatAreFoundWithBothCaches) {
  const Model model;
  // What the model itself says next is found by definition; anything else is not.
  SampleTokens wrong = model.prompts[0];
  wrong.counted_from = 90;
  const KvCheck check = model.check(KvType::kInt8, 0.5, {wrong});
  EXPECT_EQ(check.retrievals, 1);
  EXPECT_EQ(check.found_f16, 0);
  EXPECT_TRUE(check.refusal.empty()) << "it is no worse";
}

TEST(KvCheck, PacksPromptsIntoWindows) {
  const std::vector<SampleTokens> prompts(5, SampleTokens{std::vector<tokenizer::TokenId>(30, 1), 10});
  const auto two = packed(prompts, 50, 2);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[1].tokens.size(), 50u);
  const auto too_few = packed(prompts, 1000, 2);
  ASSERT_EQ(too_few.size(), 1u);
  EXPECT_EQ(too_few[0].tokens.size(), 150u);
}

}  // namespace
}  // namespace stepdown::eval
