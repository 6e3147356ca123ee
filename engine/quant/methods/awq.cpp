#include "engine/quant/methods/awq.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/formats/quantized/awq.h"
#include "engine/quant/linear_algebra.h"
#include "engine/quant/matrix_product.h"
#include "engine/quant/methods/affine_rounding.h"
#include "engine/quant/methods/equal_scaling.h"

namespace stepdown::quant {
namespace {

constexpr int kRatios = 20;               // exponents of the inputs' magnitude that are tried
constexpr int kClips = 10;                // ranges that are tried, down to half
constexpr std::int64_t kTrialRows = 512;  // outputs that a trial looks at: they tell enough of a large layer
constexpr GridSearch kAsymmetric = {4, false, false};

/// Σ over rows of e·G·eᵀ: the squared error of the outputs over all calibration tokens.
double output_error(kernels::ThreadPool& pool, const Matrix& difference, const Matrix& gram) {
  const Matrix weighed = product(pool, difference, gram);
  double error = 0;
  for (std::int64_t row = 0; row < weighed.rows; ++row) {
    error += dot(weighed.row(row), difference.row(row), static_cast<std::size_t>(weighed.columns));
  }
  return error;
}

/// What rounding would lose after the columns are scaled by `scales`, on some rows of the weight.
double trial_error(kernels::ThreadPool& pool, const Matrix& weight, const Matrix& gram,
                   std::span<const float> scales, std::int64_t group_size) {
  const std::int64_t rows = std::min(weight.rows, kTrialRows);
  Matrix scaled(rows, weight.columns);
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = weight.row(row * weight.rows / rows);
    for (std::size_t i = 0; i < scales.size(); ++i) scaled.row(row)[i] = from[i] * scales[i];
  }
  const std::vector<float> rounded = values_of(round_to_nearest(pool, scaled, group_size, kAsymmetric));
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = weight.row(row * weight.rows / rows);
    for (std::size_t i = 0; i < scales.size(); ++i) {
      scaled.row(row)[i] = rounded[static_cast<std::size_t>(row * scaled.columns) + i] / scales[i] - from[i];
    }
  }
  return output_error(pool, scaled, gram) * static_cast<double>(weight.rows) / static_cast<double>(rows);
}

std::vector<float> scales_of(const std::vector<float>& magnitude, float ratio) {
  std::vector<float> scales;
  scales.reserve(magnitude.size());
  for (const float x : magnitude) scales.push_back(std::max(std::pow(x, ratio), 1e-4f));
  const auto [least, most] = std::ranges::minmax(scales);
  const float middle = std::sqrt(least * most);
  for (float& x : scales) x /= middle;
  return scales;
}

void prepare(kernels::ThreadPool& pool, DecoderBlock& block, std::span<const Stage> stages, const See& see,
             const WeightSettings& settings) {
  for (const ScalingGroup& group : scaling_groups(block, stages)) {
    const StageInputs inputs = see(group.place);
    std::vector<float> best;
    double best_error = 0;
    for (int i = 0; i < kRatios; ++i) {
      const auto scales = scales_of(inputs.mean_magnitude, static_cast<float>(i) / kRatios);
      double error = 0;
      for (const Linear* linear : group.linears) {
        error += trial_error(pool, linear->weight, inputs.gram, scales, settings.group_size);
      }
      if (best.empty() || error < best_error) {
        best = scales;
        best_error = error;
      }
    }
    scale_equally(block, group, best);
  }
}

/// The range of a group's weights, narrowed where its part of the output then errs less. `gram`: of the
/// group's columns, the first at `first`.
IntegerGrid clipped_grid(std::span<const float> weights, const Matrix& gram, std::int64_t first,
                         bool search) {
  const auto [low, high] = std::ranges::minmax(weights);
  IntegerGrid best = grid_of_range(low, high, kAsymmetric);
  if (!search) return best;
  double best_error = 0;
  std::vector<float> difference(weights.size());
  for (int step = 0; step < kClips; ++step) {
    const float part = 1.0f - 0.5f * static_cast<float>(step) / kClips;
    const IntegerGrid grid = grid_of_range(part * low, part * high, kAsymmetric);
    for (std::size_t i = 0; i < weights.size(); ++i) difference[i] = grid.rounded(weights[i]) - weights[i];
    double error = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const float* row = gram.row(first + static_cast<std::int64_t>(i)) + first;
      error += static_cast<double>(difference[i]) * dot(row, difference.data(), weights.size());
    }
    if (step == 0 || error < best_error) {
      best = grid;
      best_error = error;
    }
  }
  return best;
}

WeightSettings settle(WeightSettings asked) {
  if (asked.bits != 0 && asked.bits != 4) {
    throw InputError(std::to_string(asked.bits) + " bits are not supported", "--bits",
                     "AWQ has 4; use gptq for others");
  }
  if (!asked.granularity.empty()) {
    throw InputError("AWQ has groups", "--granularity", "give --group-size, −1 for one scale a channel");
  }
  asked.bits = 4;
  asked.symmetric = false;
  if (asked.group_size == 0) asked.group_size = 128;
  return asked;
}

QuantizedWeight quantize(kernels::ThreadPool& pool, const Linear& linear, const StageInputs* inputs,
                         const WeightSettings& settings) {
  const Matrix& weight = linear.weight;
  formats::AffineMatrix matrix = empty_affine(weight, 4, settings.group_size);
  // Queries and keys meet in a product, which clipping harms more than it helps, as the authors found.
  const bool meet = linear.gguf == "attn_q" || linear.gguf == "attn_k" || linear.gguf == "attn_qkv";
  const bool clip = settings.search_clip && !meet;
  pool.each(weight.rows, [&](std::int64_t row, int /*worker*/) {
    for (std::int64_t group = 0; group < matrix.groups(); ++group) {
      const std::int64_t first = group * matrix.group_size;
      const std::span<const float> weights(
          weight.row(row) + first,
          static_cast<std::size_t>(std::min(matrix.group_size, weight.columns - first)));
      const IntegerGrid grid = clipped_grid(weights, inputs->gram, first, clip);
      set_grid(matrix, row, group, grid);
      std::uint8_t* codes = matrix.codes.data() + row * weight.columns + first;
      for (std::size_t i = 0; i < weights.size(); ++i)
        codes[i] = static_cast<std::uint8_t>(grid.code(weights[i]));
    }
  });
  return formats::pack_awq(matrix);
}

nlohmann::json config(const WeightSettings& settings, const std::vector<std::string>& kept) {
  return {{"quant_method", "awq"},
          {"bits", 4},
          {"group_size", settings.group_size},
          {"zero_point", true},
          {"version", "gemm"},
          {"backend", "autoawq"},
          {"modules_to_not_convert", kept}};
}

// A trial turns the Gram matrix for its product; it holds the scaled rows, what they are rounded to, and what
// that loses.
constexpr Footprint kFootprint = {1, 2.0, 2, 3 * kTrialRows};

}  // namespace

WeightMethod awq_method() {
  return {
      "awq", "--bits --group-size --no-clip", needs_gram, settle, prepare, one_by_one<quantize>, kFootprint,
      config};
}

}  // namespace stepdown::quant
