// Prompts that go through blocks together, against each by itself.
#include "engine/quant/calibration/prompt_streams.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "engine/quant/calibration/calibration_set.h"

namespace stepdown::quant {
namespace {

const std::filesystem::path kModels = std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime";

std::vector<Matrix> embedded(const formats::ModelFile& model) {
  std::vector<Matrix> streams;
  for (const std::size_t length : {5u, 1u, 40u, 17u}) {
    std::vector<std::int32_t> tokens;
    for (std::size_t i = 0; i < length; ++i) tokens.push_back(static_cast<std::int32_t>(1 + i * length % 30));
    streams.push_back(embed(model, tokens));
  }
  return streams;
}

/// What every place of every block reads, by `observe` and `advance` of all prompts.
template <class Observe, class Advance>
std::vector<StageInputs> pass(const formats::ModelFile& model, const Observe& observe,
                              const Advance& advance) {
  std::vector<StageInputs> seen;
  for (std::int64_t layer = 0; layer < model.config().layers; ++layer) {
    const DecoderBlock block(model, layer, 40);
    const std::vector<Place> places = block.places();
    for (std::size_t i = 0; i < places.size(); ++i) {
      seen.push_back(observe(block, places[i]));
      if (i + 1 == places.size() || places[i + 1].stage != places[i].stage) advance(block, places[i].stage);
    }
  }
  return seen;
}

std::vector<StageInputs> each_by_itself(const formats::ModelFile& model, bool with_gram) {
  kernels::ThreadPool pool(1);
  std::vector<Matrix> streams = embedded(model);
  return pass(
      model,
      [&](const DecoderBlock& block, Place place) {
        Observer observer(with_gram);
        for (const Matrix& stream : streams) observer.add(pool, block.inputs(pool, place, stream), {});
        return observer.result();
      },
      [&](const DecoderBlock& block, Stage stage) {
        for (Matrix& stream : streams) block.advance(pool, stage, stream);
      });
}

std::vector<StageInputs> together(const formats::ModelFile& model, bool with_gram, std::int64_t tokens,
                                  std::int64_t kept_bytes) {
  kernels::ThreadPool pool(2);
  PromptStreams prompts(embedded(model), tokens, kept_bytes);
  return pass(
      model,
      [&](const DecoderBlock& block, Place place) {
        return kept_bytes > 0 ? prompts.observe_and_keep(pool, block, place, with_gram)
                              : prompts.observe(pool, block, place, with_gram);
      },
      [&](const DecoderBlock& block, Stage stage) { prompts.advance(pool, block, stage); });
}

void expect_same(const std::vector<StageInputs>& got, const std::vector<StageInputs>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].tokens, expected[i].tokens);
    EXPECT_EQ(got[i].gram.values, expected[i].gram.values) << "place " << i;
    EXPECT_EQ(got[i].mean_square, expected[i].mean_square) << "place " << i;
    EXPECT_EQ(got[i].mean_magnitude, expected[i].mean_magnitude) << "place " << i;
    EXPECT_EQ(got[i].largest, expected[i].largest) << "place " << i;
  }
}

void expect_bits_of_each_by_itself(const char* name, bool with_gram) {
  SCOPED_TRACE(name);
  const auto model = formats::open_model(kModels / name);
  const auto expected = each_by_itself(*model, with_gram);
  expect_same(together(*model, with_gram, 1000, 0), expected);          // all prompts
  expect_same(together(*model, with_gram, 1000, 1 << 20), expected);    // inputs kept
  expect_same(together(*model, with_gram, 20, 40 * 32 * 4), expected);  // three batches, some kept
}

TEST(PromptStreams, GivesTheBitsOfEachPromptByItself) {
  for (const char* name : {"tied_gqa", "gemma2", "phi3"}) expect_bits_of_each_by_itself(name, true);
}

TEST(PromptStreams, ExpertsReadTheSameTokens) {
  expect_bits_of_each_by_itself("mixtral", false);
}

}  // namespace
}  // namespace stepdown::quant
