#include "engine/quant/calibration/stage_inputs.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/quant/matrix_product.h"

namespace stepdown::quant {
namespace {

constexpr std::int64_t kColumnsTogether = 64;  // of one task: their sums stay in the first-level cache

}  // namespace

void Observer::add_columns(kernels::ThreadPool& pool, const Matrix& inputs) {
  const std::int64_t strips = (inputs.columns + kColumnsTogether - 1) / kColumnsTogether;
  pool.each(strips, [&](std::int64_t strip, int /*worker*/) {
    const auto first = static_cast<std::size_t>(strip * kColumnsTogether);
    const std::size_t end = std::min(first + kColumnsTogether, squares_.size());
    for (std::int64_t row = 0; row < inputs.rows; ++row) {
      const float* values = inputs.row(row);
      for (std::size_t i = first; i < end; ++i) {
        const float magnitude = std::fabs(values[i]);
        squares_[i] += static_cast<double>(magnitude) * magnitude;
        magnitudes_[i] += magnitude;
        seen_.largest[i] = std::max(seen_.largest[i], magnitude);
      }
    }
  });
}

void Observer::add(kernels::ThreadPool& pool, const Matrix& inputs, Lengths lengths) {
  if (seen_.largest.empty()) {
    const auto columns = static_cast<std::size_t>(inputs.columns);
    seen_.largest.resize(columns);
    squares_.resize(columns);
    magnitudes_.resize(columns);
    if (with_gram_) seen_.gram = Matrix(inputs.columns, inputs.columns);
  }
  add_columns(pool, inputs);
  seen_.tokens += inputs.rows;
  if (!with_gram_) return;
  const std::array whole = {inputs.rows};
  std::int64_t first = 0;
  for (const std::int64_t count : lengths.empty() ? Lengths(whole) : lengths) {
    add_gram(pool, inputs, first, count, seen_.gram);
    first += count;
  }
}

StageInputs Observer::result() {
  if (with_gram_) mirror(seen_.gram);
  const auto count = static_cast<double>(std::max<std::int64_t>(1, seen_.tokens));
  for (const double sum : squares_) seen_.mean_square.push_back(static_cast<float>(sum / count));
  for (const double sum : magnitudes_) seen_.mean_magnitude.push_back(static_cast<float>(sum / count));
  return std::move(seen_);
}

}  // namespace stepdown::quant
