#include "engine/quant/calibration/stage_inputs.h"

#include <algorithm>
#include <cmath>

#include "engine/quant/linear_algebra.h"

namespace stepdown::quant {
namespace {

struct Sums {
  std::vector<double> squares;
  std::vector<double> magnitudes;
};

void add(const Matrix& inputs, Sums& sums, std::vector<float>& largest) {
  for (std::int64_t row = 0; row < inputs.rows; ++row) {
    for (std::size_t i = 0; i < largest.size(); ++i) {
      const float magnitude = std::fabs(inputs.row(row)[i]);
      sums.squares[i] += static_cast<double>(magnitude) * magnitude;
      sums.magnitudes[i] += magnitude;
      largest[i] = std::max(largest[i], magnitude);
    }
  }
}

}  // namespace

StageInputs observe(kernels::ThreadPool& pool, const DecoderBlock& block, Place place,
                    const std::vector<Matrix>& streams, bool with_gram) {
  StageInputs seen;
  Sums sums;
  for (const Matrix& stream : streams) {
    const Matrix inputs = block.inputs(pool, place, stream);
    if (seen.largest.empty()) {
      const auto columns = static_cast<std::size_t>(inputs.columns);
      seen.largest.resize(columns);
      sums.squares.resize(columns);
      sums.magnitudes.resize(columns);
      if (with_gram) seen.gram = Matrix(inputs.columns, inputs.columns);
    }
    add(inputs, sums, seen.largest);
    if (with_gram && inputs.rows > 0) add_gram(pool, inputs, seen.gram);
    seen.tokens += inputs.rows;
  }
  const auto count = static_cast<double>(std::max<std::int64_t>(1, seen.tokens));
  for (const double sum : sums.squares) seen.mean_square.push_back(static_cast<float>(sum / count));
  for (const double sum : sums.magnitudes) seen.mean_magnitude.push_back(static_cast<float>(sum / count));
  return seen;
}

}  // namespace stepdown::quant
