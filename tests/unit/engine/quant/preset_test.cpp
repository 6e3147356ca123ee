#include "engine/quant/preset.h"

#include <algorithm>
#include <map>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

/// The tensors of a 16-layer model in quantization order.
std::vector<TensorView> tensors_of(std::int64_t columns, bool tied) {
  std::vector<TensorView> all;
  const auto add = [&](const std::string& name, bool matrix = true) {
    all.push_back({name,
                   DType::kF16,
                   matrix ? std::vector<std::int64_t>{4, columns} : std::vector<std::int64_t>{columns},
                   {}});
  };
  if (!tied) add("output.weight");
  add("output_norm.weight", false);
  add("token_embd.weight");
  for (int layer = 0; layer < 16; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    for (const char* name : {"attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up"}) {
      add(prefix + name + ".weight");
    }
    add(prefix + "attn_norm.weight", false);
  }
  return all;
}

std::string type_of(const std::string& preset, const std::string& tensor, std::int64_t columns = 256,
                    bool tied = false) {
  formats::ModelConfig config;
  config.layers = 16;
  config.heads = 8;
  config.kv_heads = 2;
  const auto tensors = tensors_of(columns, tied);
  const auto types = choose_types(find_preset(preset), config, tensors, false);
  const auto at = std::ranges::find(tensors, tensor, &TensorView::name);
  return std::string(dtype_info(types.at(static_cast<std::size_t>(at - tensors.begin()))).name);
}

// Expected types: llama-quantize on a model of these dimensions.
TEST(Preset, ChoosesTypesAsLlamaQuantize) {
  const struct {
    const char *preset, *tensor, *type;
  } cases[] = {
      {"Q8_0", "output.weight", "Q8_0"},           {"Q8_0", "blk.0.attn_norm.weight", "F16"},
      {"Q4_0", "output.weight", "Q6_K"},           {"Q4_0", "token_embd.weight", "Q4_0"},
      {"Q4_K_M", "blk.0.attn_v.weight", "Q6_K"},   {"Q4_K_M", "blk.1.ffn_down.weight", "Q6_K"},
      {"Q4_K_M", "blk.2.attn_v.weight", "Q4_K"},   {"Q4_K_M", "blk.4.ffn_down.weight", "Q6_K"},
      {"Q4_K_M", "blk.15.attn_v.weight", "Q6_K"},  {"Q4_K_M", "blk.0.attn_q.weight", "Q4_K"},
      {"Q4_K_S", "blk.3.attn_v.weight", "Q5_K"},   {"Q4_K_S", "blk.4.attn_v.weight", "Q4_K"},
      {"Q4_K_S", "blk.1.ffn_down.weight", "Q5_K"}, {"Q4_K_S", "blk.2.ffn_down.weight", "Q4_K"},
      {"Q5_K_M", "blk.0.ffn_down.weight", "Q6_K"}, {"Q5_K_S", "blk.0.ffn_down.weight", "Q5_K"},
      {"Q3_K_S", "blk.0.attn_v.weight", "Q3_K"},   {"Q3_K_M", "blk.1.attn_v.weight", "Q5_K"},
      {"Q3_K_M", "blk.2.attn_v.weight", "Q4_K"},   {"Q3_K_M", "blk.0.ffn_down.weight", "Q5_K"},
      {"Q3_K_M", "blk.1.ffn_down.weight", "Q4_K"}, {"Q3_K_L", "blk.9.attn_output.weight", "Q5_K"},
      {"Q2_K", "blk.0.attn_v.weight", "Q4_K"},     {"Q2_K", "blk.0.attn_output.weight", "Q3_K"},
      {"q2_k", "blk.0.ffn_up.weight", "Q2_K"},     {"Q6_K", "token_embd.weight", "Q6_K"},
  };
  for (const auto& expected : cases) {
    EXPECT_EQ(type_of(expected.preset, expected.tensor), expected.type)
        << expected.preset << " " << expected.tensor;
  }
}

/// {"Q4_K", "Q4_K", "Q6_K"} from "Q4_K*2 Q6_K*1".
std::vector<std::string> runs(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string part; in >> part;) {
    const std::size_t star = part.find('*');
    all.insert(all.end(), std::stoul(part.substr(star + 1)), part.substr(0, star));
  }
  return all;
}

// Every architecture and preset, with and without an importance matrix:
// tests/goldens/presets/make_types.py.
TEST(Preset, ChoosesTypesAsLlamaQuantizeForEveryArchitecture) {
  const auto goldens = nlohmann::json::parse(
      read_file(std::string(STEPDOWN_SOURCE_DIR) + "/tests/goldens/presets/types.json"));
  for (const auto& [name, golden] : goldens.items()) {
    formats::ModelConfig config;
    config.architecture = golden["architecture"];
    config.layers = golden["layers"];
    config.heads = golden["heads"];
    config.kv_heads = golden["kvHeads"];
    config.experts = golden["experts"];
    const std::int64_t columns = golden["columns"];
    std::vector<TensorView> tensors = {{"token_embd.weight", DType::kF16, {4, columns}, {}}};
    if (!golden["tied"]) tensors.push_back({"output.weight", DType::kF16, {4, columns}, {}});
    for (std::int64_t layer = 0; layer < config.layers; ++layer) {
      for (const std::string matrix : golden["matrices"]) {
        std::vector<std::int64_t> shape = {4, columns};
        if (matrix.ends_with("_exps")) shape.insert(shape.begin(), config.experts);
        tensors.push_back(
            {"blk." + std::to_string(layer) + "." + matrix + ".weight", DType::kF16, shape, {}});
      }
    }
    std::ranges::sort(tensors, quantization_order);
    for (const bool imatrix : {false, true}) {
      for (const Preset& preset : presets()) {
        const std::string preset_name(preset.name);
        const bool differs = imatrix && golden["withImatrix"].contains(preset_name);
        const auto& wanted = golden[differs ? "withImatrix" : "types"][preset_name];
        const auto types = choose_types(preset, config, tensors, imatrix);
        std::map<std::string, std::vector<std::string>> got;
        for (std::size_t i = 0; i < tensors.size(); ++i) {
          std::string matrix = tensors[i].name.substr(0, tensors[i].name.rfind('.'));
          matrix = matrix.substr(matrix.rfind('.') + 1);
          got[matrix].emplace_back(dtype_info(types[i]).name);
        }
        for (const auto& [matrix, found] : got) {
          const std::vector<std::string> base(found.size(), std::string(dtype_info(preset.base).name));
          EXPECT_EQ(found, wanted.contains(matrix) ? runs(wanted[matrix]) : base)
              << name << " " << preset_name << " " << matrix << (imatrix ? " with importance" : "");
        }
      }
    }
  }
}

TEST(Preset, TiedEmbeddingsAreTreatedAsTheHead) {
  EXPECT_EQ(type_of("Q4_K_M", "token_embd.weight", 256, true), "Q6_K");
  EXPECT_EQ(type_of("Q4_K_M", "token_embd.weight", 256, false), "Q4_K");
}

TEST(Preset, RowsThatBlocksDoNotFillFallBack) {
  EXPECT_EQ(type_of("Q4_K_M", "blk.0.attn_q.weight", 96), "Q5_0");
  EXPECT_EQ(type_of("Q4_K_M", "blk.0.attn_v.weight", 96), "Q8_0");
  EXPECT_EQ(type_of("Q5_K_S", "blk.0.attn_q.weight", 96), "Q5_1");
  EXPECT_EQ(type_of("Q3_K_S", "blk.0.attn_q.weight", 96), "Q4_0");
  EXPECT_EQ(type_of("Q3_K_S", "output.weight", 96), "Q8_0");
  EXPECT_EQ(type_of("Q4_0", "output.weight", 96), "Q8_0");
  EXPECT_EQ(type_of("Q8_0", "blk.0.attn_q.weight", 40), "F16");
}

TEST(Preset, UnknownNamesListTheKnown) {
  try {
    find_preset("Q9");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("Q4_K_M"), std::string::npos);
  }
}

TEST(QuantizationOrder, IsByLayerAsNumberThenByName) {
  const auto named = [](const char* name) { return TensorView{name, DType::kF16, {1}, {}}; };
  EXPECT_TRUE(quantization_order(named("token_embd.weight"), named("blk.0.attn_q.weight")));
  EXPECT_TRUE(quantization_order(named("blk.9.ffn_up.weight"), named("blk.10.attn_k.weight")));
  EXPECT_TRUE(quantization_order(named("blk.9.attn_k.weight"), named("blk.9.attn_q.weight")));
}

}  // namespace
}  // namespace stepdown::quant
