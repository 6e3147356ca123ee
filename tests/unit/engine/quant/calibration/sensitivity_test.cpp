#include "engine/quant/calibration/sensitivity.h"

#include <cmath>
#include <stdexcept>

#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>

#include "engine/quant/calibration/decoder_block.h"
#include "engine/quant/training/network.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

/// Prompts whose tokens differ: attention to equal ones is the same whatever its weights.
struct VariedModel : RandomModel {
  explicit VariedModel(unsigned prompts_in_all = 24) : RandomModel(0.3f) {
    std::string lines;
    for (unsigned i = 0; i < prompts_in_all; ++i) {
      std::string text;
      for (unsigned k = 0; k < 8 + i % 24; ++k) text += (k * k * 7 + k * i + i) % 3 == 0 ? 'b' : 'a';
      lines += "{\"text\": \"" + text + "\"}\n";
    }
    write_file_atomically(prompts(), lines);
  }
};

struct Task {
  explicit Task(unsigned prompts_in_all = 24) : folder(prompts_in_all) {}

  VariedModel folder;
  std::unique_ptr<formats::ModelFile> model = formats::open_model(folder.folder.path());
  CalibrationSet prompts = [&] {
    CalibrationRequest request;
    request.path = folder.prompts();
    return CalibrationSet(*model, request);
  }();
  kernels::ThreadPool pool{2};
  formats::TempFolder kept;
};

/// Coarser than any type, so that much is lost.
void round_coarsely(const TensorView& /*tensor*/, std::int64_t /*expert*/, Matrix& rows) {
  for (float& x : rows.values) x = std::round(x * 8.0f) / 8.0f;
}

/// The same by a whole network: its divergence once one linear layer is rounded.
double of_network(Task& task, std::size_t layer, std::string_view gguf) {
  const Network exact(*task.model);
  Network changed(*task.model);
  round_coarsely({}, Place::kNoExpert, changed.blocks()[layer].linear(gguf).weight);
  Network::Tape tape;
  const SensitivitySample sample = sensitivity_sample(*task.model, task.prompts);
  double all = 0;
  double tokens = 0;
  for (std::size_t i = 0; i < sample.prompts.size(); ++i) {
    Matrix stream = task.prompts.stream(*task.model, sample.prompts[i]);
    stream.rows = sample.lengths[i];
    stream.values.resize(static_cast<std::size_t>(stream.rows * stream.columns));
    const Matrix wanted = exact.forward(task.pool, stream, tape);
    Matrix got = changed.forward(task.pool, stream, tape);
    all += distill(wanted, got) * static_cast<double>(stream.rows);
    tokens += static_cast<double>(stream.rows);
  }
  return all / tokens;
}

TEST(Sensitivity, IsTheDivergenceOfAModelWithOneMatrixRounded) {
  Task task;
  const auto found = measure_sensitivity(task.pool, *task.model, task.prompts, round_coarsely);
  EXPECT_EQ(found.size(), 2U * 7U + 1U);
  for (const std::size_t layer : {0U, 1U}) {
    for (const char* gguf : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
      const double wanted = of_network(task, layer, gguf);
      const double got = found.at("blk." + std::to_string(layer) + "." + gguf + ".weight");
      EXPECT_NEAR(got, wanted, 0.01 * wanted) << layer << ' ' << gguf;
      EXPECT_GT(got, 1e-6) << layer << ' ' << gguf;
    }
  }
  EXPECT_GT(found.at("token_embd.weight"), 1e-6);
}

TEST(Sensitivity, OfWhatRoundingLeavesAloneIsNone) {
  Task task;
  const auto found = measure_sensitivity(task.pool, *task.model, task.prompts,
                                         [](const TensorView&, std::int64_t, Matrix&) {});
  for (const auto& [tensor, divergence] : found) EXPECT_NEAR(divergence, 0.0, 1e-9) << tensor;
}

TEST(Sensitivity, GoesOnAfterAKillToTheSameNumbers) {
  Task task;
  const auto wanted = measure_sensitivity(task.pool, *task.model, task.prompts, round_coarsely);
  const fs::path state = task.kept / "state";
  const auto killed = [](const TensorView& tensor, std::int64_t expert, Matrix& rows) {
    if (tensor.name == "blk.1.ffn_up.weight") throw std::runtime_error("killed");
    round_coarsely(tensor, expert, rows);
  };
  EXPECT_THROW(measure_sensitivity(task.pool, *task.model, task.prompts, killed, state), std::runtime_error);
  ASSERT_TRUE(fs::exists(state));
  int first_layer = 0;
  const auto counted = [&](const TensorView& tensor, std::int64_t expert, Matrix& rows) {
    if (tensor.name.starts_with("blk.0.")) ++first_layer;
    round_coarsely(tensor, expert, rows);
  };
  EXPECT_EQ(measure_sensitivity(task.pool, *task.model, task.prompts, counted, state), wanted);
  EXPECT_EQ(first_layer, 0) << "it was done before";
}

TEST(Sensitivity, LooksAtFewPromptsWhole) {
  Task task;
  const SensitivitySample sample = sensitivity_sample(*task.model, task.prompts);
  EXPECT_EQ(sample.lengths, task.prompts.lengths());
  EXPECT_EQ(sample.tokens, task.prompts.tokens());
}

TEST(Sensitivity, OfManyPromptsLooksAtSomeSpreadOverAll) {
  const Task task(512);
  const SensitivitySample sample = sensitivity_sample(*task.model, task.prompts);
  EXPECT_GT(sample.tokens, 512);
  EXPECT_LT(sample.tokens, task.prompts.tokens() / 5);
  EXPECT_GT(sample.prompts.size(), 30U);
  const std::size_t apart = task.prompts.samples() / sample.prompts.size();
  for (std::size_t i = 1; i < sample.prompts.size(); ++i)
    EXPECT_NEAR(static_cast<double>(sample.prompts[i] - sample.prompts[i - 1]), static_cast<double>(apart),
                1.0);
}

}  // namespace
}  // namespace stepdown::quant
