#include "engine/quant/methods/mixed.h"

#include "tests/unit/engine/base/run_command.h"
#include "tests/unit/engine/formats/temp_folder.h"
#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/quant/quantize_command.h"

namespace stepdown::quant {
namespace {

struct Quantized {
  nlohmann::json report;
  std::uintmax_t bytes;
};

Quantized quantize(const RandomModel& model, const std::string& budget) {
  const formats::TempFolder folder;
  EXPECT_EQ(run_quietly(quantize_command(), {"--model", model.folder.path(), "--method", "mixed", "--budget",
                                             budget, "--calibration", model.prompts(), "--out",
                                             folder / "out.gguf", "--report", folder / "report.json"}),
            0);
  return {nlohmann::json::parse(read_file(folder / "report.json")),
          std::filesystem::file_size(folder / "out.gguf")};
}

TEST(Mixed, ABudgetThatHoldsAllGivesTheLargestTypeThoughNothingIsSeenOfAMatrix) {
  const RandomModel model;
  // Attention to one token is the same whatever its queries and keys.
  write_file_atomically(model.prompts(), R"({"text": "a"})");
  const Quantized all = quantize(model, "1G");
  ASSERT_EQ(all.report["layers"].size(), 15U);
  for (const auto& layer : all.report["layers"]) {
    EXPECT_EQ(layer["type"], "Q8_0") << layer;
    EXPECT_GT(layer["measured"]["divergence"], 0.0) << layer;
    EXPECT_FALSE(layer.contains("next")) << layer;
  }
}

TEST(Mixed, TellsWhatTheNextTypeWouldCostAndSpare) {
  const RandomModel model;
  const auto most = quantize(model, "1G").bytes;
  const Quantized some = quantize(model, std::to_string(most * 4 / 5));
  EXPECT_LE(some.bytes, most * 4 / 5);
  int smaller = 0;
  for (const auto& layer : some.report["layers"]) {
    if (!layer.contains("next")) continue;
    ++smaller;
    EXPECT_GT(layer["next"]["bytes"], layer["bytes"]) << layer;
    EXPECT_LT(layer["next"]["loss"], layer["loss"]) << layer;
  }
  EXPECT_GT(smaller, 0);
  EXPECT_LT(smaller, 15);
}

}  // namespace
}  // namespace stepdown::quant
