// What SmoothQuant writes beside its paper's equation (4), in doubles.
#include "engine/quant/methods/smoothquant.h"

#include "tests/unit/engine/quant/methods/exported_model.h"

namespace stepdown::quant {
namespace {

WeightSettings settings_of(double migration) {
  WeightSettings settings;
  settings.migration = migration;
  settings.search_clip = false;
  settings.static_activations = true;
  return settings;
}

struct Smoothed {
  Stage stage;
  const char* norm;
  const char* gguf_norm;
  std::vector<std::string_view> readers;  ///< GGUF's names
};

class SmoothQuant : public testing::TestWithParam<double> {};

TEST_P(SmoothQuant, MovesMagnitudeFromInputsToWeights) {
  const double alpha = GetParam();
  const ExportedModel model(method_named("smoothquant"), settings_of(alpha));
  kernels::ThreadPool pool(2);
  for (const std::int64_t layer : {0, 1}) {
    const DecoderBlock source(model.source(), layer);
    const DecoderBlock written(model.written(), layer);
    for (const Smoothed& place :
         {Smoothed{Stage::kAttentionInput, "input_layernorm", "attn_norm", {"attn_q", "attn_k", "attn_v"}},
          Smoothed{
              Stage::kFeedForwardInput, "post_attention_layernorm", "ffn_norm", {"ffn_gate", "ffn_up"}}}) {
      const std::string name = "model.layers." + std::to_string(layer) + "." + place.norm + ".weight";
      SCOPED_TRACE(name);
      const auto inputs = largest_of(model.reads(pool, layer, place.stage, model.written(), model.source()));
      const std::vector<float>& norm = source.norm(place.stage)->values;
      const std::vector<float>& stored = model.plain(name);
      ASSERT_EQ(stored.size(), norm.size());
      for (std::size_t i = 0; i < norm.size(); ++i) {
        double weights = 0;
        for (const std::string_view reader : place.readers) {
          const Matrix& weight = source.linear(reader).weight;
          for (std::int64_t row = 0; row < weight.rows; ++row)
            weights = std::max(weights, std::fabs(static_cast<double>(weight.row(row)[i])));
        }
        const double scale = std::pow(inputs[i], alpha) / std::pow(weights, 1 - alpha);
        ASSERT_NEAR(stored[i], norm[i] / scale, 2e-3 * norm[i] / scale) << "column " << i;
        for (const std::string_view reader : place.readers) {
          const Matrix& was = source.linear(reader).weight;
          const Matrix& now = written.linear(reader).weight;
          for (std::int64_t row = 0; row < was.rows; ++row) {
            const double step =
                std::ranges::max(now.row_span(row), {}, [](float x) { return std::fabs(x); }) / 127;
            const double expected = static_cast<double>(was.row(row)[i]) * norm[i] / stored[i];
            ASSERT_NEAR(now.row(row)[i], expected, 0.6 * std::fabs(step)) << reader << ", row " << row;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Migrations, SmoothQuant, testing::Values(0.5, 0.85), [](const auto& test) {
  return std::to_string(static_cast<int>(100 * test.param)) + "_percent";
});

TEST(SmoothQuantStatic, ScalesOfInputsAreTheLargestThatCalibrationGaveOver127) {
  expect_input_scales(ExportedModel(method_named("smoothquant"), settings_of(0.85)), 127);
}

}  // namespace
}  // namespace stepdown::quant
