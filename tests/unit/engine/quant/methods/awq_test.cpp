// AWQ's two searches beside every candidate there is, tried on the tokens themselves, in doubles.
#include "engine/quant/methods/awq.h"

#include <array>
#include <limits>

#include "tests/unit/engine/quant/methods/one_layer.h"
#include "tests/unit/engine/quant/random_model.h"

#include "engine/formats/model_file.h"
#include "engine/quant/calibration/prompt_streams.h"

namespace stepdown::quant {
namespace {

constexpr std::int64_t kGroup = 32;
constexpr int kRatios = 20;
constexpr int kClips = 10;

/// The group's weights on the asymmetric grid of a share of their range.
std::vector<double> rounded(std::span<const double> weights, double share) {
  const auto [least, most] = std::ranges::minmax(weights);
  const double low = share * std::min(0.0, least);
  const double high = share * std::max(0.0, most);
  const double scale = as_half((high - low) / 15);
  const double zero = std::clamp(std::nearbyint(-low / scale), 0.0, 15.0);
  std::vector<double> values;
  for (const double weight : weights)
    values.push_back(scale * (std::clamp(std::nearbyint(weight / scale) + zero, 0.0, 15.0) - zero));
  return values;
}

/// What the layer loses when its columns are scaled, rounded and scaled back.
double lost(const Matrix& weight, const Matrix& tokens, std::span<const double> scales) {
  Matrix got(weight.rows, weight.columns);
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    for (std::int64_t first = 0; first < weight.columns; first += kGroup) {
      std::vector<double> scaled;
      for (std::int64_t i = first; i < first + kGroup; ++i)
        scaled.push_back(static_cast<double>(weight.row(row)[i]) * scales[static_cast<std::size_t>(i)]);
      const auto values = rounded(scaled, 1);
      for (std::int64_t i = first; i < first + kGroup; ++i)
        got.row(row)[i] = static_cast<float>(values[static_cast<std::size_t>(i - first)] /
                                             scales[static_cast<std::size_t>(i)]);
    }
  }
  return output_error(weight, got, tokens);
}

std::vector<double> scales_of(const Matrix& tokens, int ratio) {
  std::vector<double> scales(static_cast<std::size_t>(tokens.columns));
  for (std::int64_t i = 0; i < tokens.columns; ++i) {
    double sum = 0;
    for (std::int64_t token = 0; token < tokens.rows; ++token)
      sum += std::fabs(static_cast<double>(tokens.row(token)[i]));
    scales[static_cast<std::size_t>(i)] =
        std::max(1e-4, std::pow(sum / static_cast<double>(tokens.rows), ratio / 20.0));
  }
  const auto [least, most] = std::ranges::minmax(scales);
  const double middle = std::sqrt(least * most);
  for (double& x : scales) x /= middle;
  return scales;
}

struct Best {
  int ratio = 0;
  std::vector<double> scales;
  double error = std::numeric_limits<double>::infinity();
  double next = std::numeric_limits<double>::infinity();  ///< the error of the second best
  double without = 0;                                     ///< of no scales
};

Best best_scales(const std::vector<const Linear*>& linears, const Matrix& tokens) {
  Best best;
  for (int ratio = 0; ratio < kRatios; ++ratio) {
    const auto scales = scales_of(tokens, ratio);
    double error = 0;
    for (const Linear* linear : linears) error += lost(linear->weight, tokens, scales);
    if (ratio == 0) best.without = error;
    if (error < best.error) {
      best.next = best.error;
      best.error = error;
      best.scales = scales;
      best.ratio = ratio;
    } else {
      best.next = std::min(best.next, error);
    }
  }
  return best;
}

/// A block whose attention has a key and value head for each query head, and tokens with a few large columns.
struct Block {
  Block() {
    model.config["num_key_value_heads"] = 2;
    for (const char* layer : {"model.layers.0.", "model.layers.1."}) {
      model.fill(std::string(layer) + "self_attn.k_proj.weight", {64, 64}, 0.1f);
      model.fill(std::string(layer) + "self_attn.v_proj.weight", {64, 64}, 0.1f);
    }
    model.write();
    stream = correlated_tokens(48, 64, 21);
    for (std::int64_t token = 0; token < stream.rows; ++token) {
      for (const std::int64_t outlier : {3, 17, 40}) stream.row(token)[outlier] *= 12.0f;
    }
  }

  RandomModel model;
  Matrix stream;
};

TEST(Awq, ScalesColumnsByTheRatioThatLosesLeast) {
  const Block given;
  const auto file = formats::open_model(given.model.folder.path());
  kernels::ThreadPool pool(2);
  const DecoderBlock before(*file, 0);
  DecoderBlock after(*file, 0);
  PromptStreams streams({given.stream});
  WeightSettings settings;
  settings.group_size = kGroup;
  const WeightMethod& method = method_named("awq");
  const auto see = [&](Place place) { return streams.observe(pool, after, place, true); };
  method.prepare(pool, after, std::span(kStages).first<2>(), see, method.settle(settings));
  streams.advance(pool, after, Stage::kAttentionOutput);
  method.prepare(pool, after, std::span(kStages).last<2>(), see, method.settle(settings));

  struct Readers {
    std::vector<const char*> linears;
    Stage stage;
  };
  for (const Readers& place : {Readers{{"attn_q", "attn_k", "attn_v"}, Stage::kAttentionInput},
                               Readers{{"attn_output"}, Stage::kAttentionOutput},
                               Readers{{"ffn_gate", "ffn_up"}, Stage::kFeedForwardInput},
                               Readers{{"ffn_down"}, Stage::kFeedForwardOutput}}) {
    SCOPED_TRACE(place.linears.front());
    Matrix stream = given.stream;
    if (place.stage > Stage::kAttentionOutput) before.advance(pool, Stage::kAttentionOutput, stream);
    std::vector<const Linear*> linears;
    for (const char* name : place.linears) linears.push_back(&before.linear(name));
    const Best best = best_scales(linears, before.inputs(pool, {place.stage}, stream));
    ASSERT_GT(best.next, 1.0005 * best.error) << "too near a tie: take another seed";
    if (place.stage == Stage::kAttentionInput) {
      EXPECT_LT(best.error, 0.7 * best.without) << "these columns ask for scales";
    }
    for (const char* name : place.linears) {
      if (std::string_view(name) == "ffn_up") continue;  // its rows are down_proj's columns, scaled too
      const bool produces = std::string_view(name) == "attn_v";
      const Matrix& now = after.linear(name).weight;
      const Matrix& was = before.linear(name).weight;
      for (std::int64_t i = 0; i < was.columns && !produces; ++i) {
        const double scale = best.scales[static_cast<std::size_t>(i)];
        ASSERT_NEAR(now.row(1)[i], scale * static_cast<double>(was.row(1)[i]),
                    2e-3 * scale * std::fabs(static_cast<double>(was.row(1)[i])))
            << name << ", column " << i << ", ratio " << best.ratio << " of 20";
      }
    }
    if (place.stage != Stage::kAttentionInput && place.stage != Stage::kFeedForwardInput) continue;
    for (std::size_t i = 0; i < best.scales.size(); ++i) {
      const double expected = before.norm(place.stage)->values[i] / best.scales[i];
      ASSERT_NEAR(after.norm(place.stage)->values[i], expected, 2e-3 * std::fabs(expected)) << i;
    }
  }
  // And the block still computes what it did.
  Matrix expected = given.stream;
  Matrix got = given.stream;
  for (const Stage stage : kStages) {
    before.advance(pool, stage, expected);
    after.advance(pool, stage, got);
  }
  for (std::size_t i = 0; i < got.values.size(); ++i)
    ASSERT_NEAR(got.values[i], expected.values[i], 1e-3 * std::max(1.0f, std::fabs(expected.values[i])));
}

/// Σ over tokens of the group's part of one output's error, squared.
double part_error(const Matrix& weight, std::span<const double> values, const Matrix& tokens,
                  std::int64_t row, std::int64_t first) {
  double sum = 0;
  for (std::int64_t token = 0; token < tokens.rows; ++token) {
    double part = 0;
    for (std::int64_t i = 0; i < kGroup; ++i)
      part += (values[static_cast<std::size_t>(i)] - static_cast<double>(weight.row(row)[first + i])) *
              static_cast<double>(tokens.row(token)[first + i]);
    sum += part * part;
  }
  return sum;
}

TEST(Awq, ClipsEachGroupWhereItsOutputErrsLeastButThatOfQueriesAndKeys) {
  const Matrix weight = random_matrix(16, 128, 31);
  const Matrix tokens = correlated_tokens(100, 128, 33);
  WeightSettings settings;
  settings.group_size = kGroup;
  const auto inputs = inputs_of(tokens);
  const Matrix clipped = quantized("awq", weight, inputs, settings, "ffn_up");
  double sum = 0;
  double sum_of_whole = 0;
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    for (std::int64_t first = 0; first < weight.columns; first += kGroup) {
      const std::vector<double> weights(weight.row(row) + first, weight.row(row) + first + kGroup);
      double least = std::numeric_limits<double>::infinity();
      for (int step = 0; step < kClips; ++step)
        least = std::min(least,
                         part_error(weight, rounded(weights, 1 - 0.5 * step / kClips), tokens, row, first));
      const std::vector<double> got(clipped.row(row) + first, clipped.row(row) + first + kGroup);
      const double error = part_error(weight, got, tokens, row, first);
      EXPECT_NEAR(error, least, 1e-3 * least) << row << ", " << first;
      sum += error;
      sum_of_whole += part_error(weight, rounded(weights, 1), tokens, row, first);
    }
  }
  EXPECT_LT(sum, 0.8 * sum_of_whole);

  for (const char* meeting : {"attn_q", "attn_k"}) {
    const Matrix whole = quantized("awq", weight, inputs, settings, meeting);
    for (std::int64_t row = 0; row < weight.rows; ++row) {
      for (std::int64_t first = 0; first < weight.columns; first += kGroup) {
        const std::vector<double> weights(weight.row(row) + first, weight.row(row) + first + kGroup);
        const auto expected = rounded(weights, 1);
        for (std::int64_t i = 0; i < kGroup; ++i)
          ASSERT_NEAR(whole.row(row)[first + i], expected[static_cast<std::size_t>(i)], 1e-4) << meeting;
      }
    }
  }
}

}  // namespace
}  // namespace stepdown::quant
