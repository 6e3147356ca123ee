// The forward pass that calibration follows, against what transformers computes from the same weights: on
// the checkpoints of every architecture, and on the files that llama.cpp's converter makes of them.
#include "engine/quant/calibration/decoder_block.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/matrix_product.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

const fs::path kGoldens = fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens";

struct Case {
  std::string name;
  fs::path model;
  fs::path golden;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& folder : fs::directory_iterator(kGoldens / "runtime")) {
    if (fs::exists(folder.path() / "golden.json"))
      all.push_back({folder.path().filename(), folder.path(), folder.path() / "golden.json"});
  }
  for (const auto& file : fs::directory_iterator(kGoldens / "llamacpp")) {
    if (file.path().extension() != ".gguf") continue;
    fs::path golden = file.path();
    all.push_back(
        {"llamacpp_" + file.path().stem().string(), file.path(), golden.replace_extension(".json")});
  }
  std::ranges::sort(all, {}, &Case::name);
  return all;
}

class DecoderBlockGolden : public testing::TestWithParam<Case> {};

TEST_P(DecoderBlockGolden, ComputesWhatTransformersDoes) {
  const auto golden = nlohmann::json::parse(read_file(GetParam().golden));
  const auto tokens = golden.at("tokens").get<std::vector<std::int32_t>>();
  const auto model = formats::open_model(GetParam().model);
  const formats::ModelConfig& config = model->config();
  kernels::ThreadPool pool(2);
  Matrix stream = embed(*model, tokens);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const DecoderBlock block(*model, layer, stream.rows);
    for (const Stage stage : kStages) block.advance(pool, stage, stream);
  }
  const bool tied = model->find("output.weight") == nullptr;
  const Matrix head = load_matrix(*model, tied ? "token_embd.weight" : "output.weight");
  const std::vector<float> norm = load_matrix(*model, "output_norm.weight").values;
  Matrix logits = product(pool, normed(stream, norm, config.rms_eps), head);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    std::vector<double> row;
    for (const float x : logits.row_span(static_cast<std::int64_t>(i))) {
      const double scaled = static_cast<double>(x) * static_cast<double>(config.logit_scale);
      const auto cap = static_cast<double>(config.logit_softcap);
      row.push_back(cap > 0 ? cap * std::tanh(scaled / cap) : scaled);
    }
    const double largest = *std::ranges::max_element(row);
    double sum = 0;
    for (const double x : row) sum += std::exp(x - largest);
    const double score = row[static_cast<std::size_t>(tokens[i + 1])] - largest - std::log(sum);
    // The goldens' rotary frequencies were rounded to binary16 with the weights: that is the difference.
    EXPECT_NEAR(score, golden["scores"][i].get<double>(), 6e-3) << "token " << i + 1;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DecoderBlockGolden, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(DecoderBlock, ExpertsReadTheTokensThatTheRouterGivesThem) {
  const auto model = formats::open_model(kGoldens / "runtime/mixtral");
  kernels::ThreadPool pool(2);
  const DecoderBlock block(*model, 0);
  const std::vector<std::int32_t> tokens = {1, 2, 3, 4, 5, 6, 7};
  const Matrix stream = embed(*model, tokens);
  const Matrix all = block.inputs(pool, {Stage::kFeedForwardInput}, stream);
  std::int64_t rows = 0;
  for (std::int64_t expert = 0; expert < block.config().experts; ++expert) {
    const Matrix read = block.inputs(pool, {Stage::kFeedForwardInput, expert}, stream);
    for (std::int64_t row = 0; row < read.rows; ++row) {
      bool found = false;
      for (std::int64_t token = 0; token < all.rows; ++token)
        found = found || std::ranges::equal(read.row_span(row), all.row_span(token));
      EXPECT_TRUE(found) << "expert " << expert;
    }
    EXPECT_EQ(block.inputs(pool, {Stage::kFeedForwardOutput, expert}, stream).rows, read.rows);
    rows += read.rows;
  }
  EXPECT_EQ(rows, stream.rows * block.config().experts_used);
  EXPECT_EQ(block.places().size(), 2u + 2u * 4u);
}

}  // namespace
}  // namespace stepdown::quant
