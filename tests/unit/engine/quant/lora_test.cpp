#include "engine/formats/lora.h"

#include <cmath>

#include "tests/unit/engine/formats/hf_folder.h"
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/formats/model_file.h"
#include "engine/kernels/dequantize.h"

namespace stepdown::formats {
namespace {

/// A base model and an adapter of rank 2 for up_proj [12, 8].
struct Pair {
  HfFolder base;
  TempFolder adapter;
  nlohmann::json config = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 6}, {"bias", "none"}};
  std::map<std::string, HfFolder::Tensor> tensors;

  Pair() {
    base.write();
    add("lora_A", {2, 8}, 0.5f);
    add("lora_B", {12, 2}, 0.25f);
  }

  void add(const std::string& name, std::vector<std::int64_t> shape, float value) {
    std::string bytes;
    for (std::int64_t i = 0; i < shape[0] * shape[1]; ++i) {
      const float x = value * static_cast<float>(1 + i);
      bytes.append(reinterpret_cast<const char*>(&x), sizeof(x));
    }
    tensors["base_model.model.model.layers.0.mlp.up_proj." + name + ".weight"] = {"F32", std::move(shape),
                                                                                  bytes};
  }

  std::vector<float> merged(double weight = 1.0) {
    write_file(adapter / "adapter_config.json", config.dump());
    write_file(adapter / "adapter_model.safetensors", HfFolder::safetensors(tensors));
    const auto model = open_model(base.folder.path(), {{adapter.path(), weight}});
    const TensorView* up = model->find("blk.0.ffn_up.weight");
    EXPECT_EQ(up->type, DType::kF32);
    model->prepare(*up);
    std::vector<float> values(96);
    kernels::dequantize_row(up->type, up->data, values);
    return values;
  }

  /// Row r of the base holds r · 2⁻²⁴ everywhere.
  static float expected(std::int64_t row, std::int64_t column, float scale) {
    float sum = 0;
    for (std::int64_t k = 0; k < 2; ++k) {
      sum += 0.25f * static_cast<float>(1 + row * 2 + k) * 0.5f * static_cast<float>(1 + k * 8 + column);
    }
    return static_cast<float>(row) * 0x1p-24f + scale * sum;
  }
};

void expect_scale(const std::vector<float>& values, float scale) {
  for (std::int64_t i = 0; i < 96; ++i) {
    EXPECT_NEAR(values[static_cast<std::size_t>(i)], Pair::expected(i / 8, i % 8, scale), 1e-4f) << i;
  }
}

TEST(Lora, WeightsAreNumbersAndReportsNameThem) {
  Pair pair;
  pair.merged();
  const std::string path = pair.adapter.path();
  for (const char* weight : {"", "x", "1x", "nan", "inf"})
    EXPECT_THROW(parse_adapters({path + "=" + weight}), InputError) << weight;
  EXPECT_EQ(
      adapters_json(parse_adapters({path + "=0.5"})),
      (nlohmann::json{{{"path", path}, {"digest", "sha256:" + artifact_digest(path)}, {"weight", 0.5}}}));
}

TEST(Lora, MergesByAlphaOverRank) {
  expect_scale(Pair().merged(), 3.0f);
  expect_scale(Pair().merged(0.5), 1.5f);
}

TEST(Lora, RankStabilizedScalesByTheRoot) {
  Pair pair;
  pair.config["use_rslora"] = true;
  expect_scale(pair.merged(), 6.0f / std::sqrt(2.0f));
}

TEST(Lora, PatternsGiveModulesTheirOwnAlpha) {
  Pair pair;
  pair.config["alpha_pattern"] = {{"mlp.up_proj", 2}, {"down_proj", 100}};
  expect_scale(pair.merged(), 1.0f);
}

TEST(Lora, WeightsAreMadeWhenTheyAreAskedForAndEmbeddingsAtOnce) {
  Pair pair;
  pair.tensors["base_model.model.model.embed_tokens.weight"] = {
      "F32", {6, 8}, std::string(6 * 8 * sizeof(float), '\0')};
  expect_scale(pair.merged(), 3.0f);
  const auto model = open_model(pair.base.folder.path(), {{pair.adapter.path()}}, Merged::kAsBase);
  const TensorView& up = *model->find("blk.0.ffn_up.weight");
  EXPECT_EQ(up.type, DType::kF16) << "as the base";
  std::vector<float> first(96), again(96);
  model->prepare(up);
  kernels::dequantize_row(up.type, up.data, first);
  model->release(up);
  model->prepare(up);
  kernels::dequantize_row(up.type, up.data, again);
  EXPECT_EQ(first, again);
  EXPECT_NEAR(first[95], Pair::expected(11, 7, 3.0f), 0.1f);
  const TensorView& embeddings = *model->find("token_embd.weight");
  for (const std::byte byte : embeddings.data) EXPECT_EQ(std::to_integer<int>(byte), 0);
}

TEST(Lora, RefusesWhatItCannotMerge) {
  const auto refused = [](const auto& change) {
    Pair pair;
    change(pair);
    EXPECT_THROW(pair.merged(), InputError);
  };
  refused([](Pair& pair) { pair.config["use_dora"] = true; });
  refused([](Pair& pair) { pair.config["peft_type"] = "IA3"; });
  refused([](Pair& pair) { pair.config["bias"] = "all"; });
  refused([](Pair& pair) { pair.config["r"] = 4; });
  refused([](Pair& pair) { pair.add("lora_B", {11, 2}, 1.0f); });
  refused(
      [](Pair& pair) { pair.tensors.erase("base_model.model.model.layers.0.mlp.up_proj.lora_B.weight"); });
  refused([](Pair& pair) {
    pair.tensors["base_model.model.lm_tail.lora_A.weight"] = pair.tensors.begin()->second;
  });
}

TEST(Lora, AnAdapterAloneIsNoModel) {
  Pair pair;
  pair.merged();
  try {
    open_model(pair.adapter.path());
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("--adapter"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace stepdown::formats
