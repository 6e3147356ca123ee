#include "engine/quant/linear_algebra.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/quant/widest.h"

namespace stepdown::quant {
namespace {

constexpr std::int64_t kPanel = 64;  // columns that are factored together
constexpr std::int64_t kStrip = 64;  // columns of the inverse that one task computes
constexpr std::int64_t kRowsTogether = 16;

/// Factors the diagonal block [first, end) in place; false when it is not positive definite.
bool factor_diagonal(Matrix& a, std::int64_t first, std::int64_t end) {
  for (std::int64_t i = first; i < end; ++i) {
    for (std::int64_t j = first; j <= i; ++j) {
      const float rest =
          a.row(i)[j] - dot(a.row(i) + first, a.row(j) + first, static_cast<std::size_t>(j - first));
      if (i != j) {
        a.row(i)[j] = rest / a.row(j)[j];
      } else if (rest > 0 && std::isfinite(rest)) {
        a.row(i)[i] = std::sqrt(rest);
      } else {
        return false;
      }
    }
  }
  return true;
}

/// The lower triangular L with A = L·Lᵀ, in place below the diagonal.
bool factor(kernels::ThreadPool& pool, Matrix& a) {
  for (std::int64_t first = 0; first < a.rows; first += kPanel) {
    const std::int64_t end = std::min(first + kPanel, a.rows);
    if (!factor_diagonal(a, first, end)) return false;
    pool.each(a.rows - end, [&](std::int64_t index, int /*worker*/) {
      float* row = a.row(end + index);
      for (std::int64_t j = first; j < end; ++j) {
        const float known = dot(row + first, a.row(j) + first, static_cast<std::size_t>(j - first));
        row[j] = (row[j] - known) / a.row(j)[j];
      }
    });
    pool.each(a.rows - end, [&](std::int64_t index, int /*worker*/) {
      float* row = a.row(end + index);
      std::array<float, kPanel> known;
      for (std::int64_t j = 0; j <= index; j += kPanel) {
        const std::span some(known.data(), static_cast<std::size_t>(std::min(kPanel, index + 1 - j)));
        dots(row + first, a.row(end + j) + first, a.columns, static_cast<std::size_t>(end - first), some);
        for (std::size_t k = 0; k < some.size(); ++k) row[end + j + static_cast<std::int64_t>(k)] -= some[k];
      }
    });
  }
  return true;
}

/// L⁻¹ of a lower triangular L. A strip of its columns lies together while it is computed, some rows at a
/// time: first what the rows above them give, then what they give each other.
Matrix inverse_of_lower(kernels::ThreadPool& pool, const Matrix& lower) {
  Matrix inverse(lower.rows, lower.columns);
  pool.each((lower.columns + kStrip - 1) / kStrip, [&](std::int64_t index, int /*worker*/) {
    const std::int64_t first = index * kStrip;
    const std::int64_t width = std::min(kStrip, lower.columns - first);
    Matrix strip(lower.rows - first, width);
    Matrix weights(kRowsTogether, strip.rows);
    for (std::int64_t row = 0; row < strip.rows; row += kRowsTogether) {
      const std::int64_t count = std::min(kRowsTogether, strip.rows - row);
      for (std::int64_t i = 0; i < count; ++i) {
        for (std::int64_t k = 0; k < row + i; ++k) weights.row(i)[k] = -lower.row(first + row + i)[first + k];
        if (row + i < width) strip.row(row + i)[row + i] = 1.0f;
      }
      add_product({weights.row(0), weights.columns}, {strip.row(0), width}, row, {strip.row(row), width},
                  count, width);
      for (std::int64_t i = 0; i < count; ++i) {
        float* values = strip.row(row + i);
        add_product({weights.row(i) + row, weights.columns}, {strip.row(row), width}, i, {values, width}, 1,
                    width);
        const float scale = 1.0f / lower.row(first + row + i)[first + row + i];
        for (std::int64_t j = 0; j < std::min(width, row + i + 1); ++j) values[j] *= scale;
        std::copy_n(values, width, inverse.row(first + row + i) + first);
      }
    }
  });
  return inverse;
}

/// Floats side by side, wherever they stand: a loop over an array would keep its sums in memory.
typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
constexpr std::int64_t kLaneCount = sizeof(Lanes) / sizeof(float);
constexpr int kVectors = 4;
constexpr std::int64_t kStep = kVectors * kLaneCount;  // columns of an output that stay in registers

const Lanes& lanes(const float* at) {
  return *reinterpret_cast<const Lanes*>(at);
}
Lanes& lanes(float* at) {
  return *reinterpret_cast<Lanes*>(at);
}

STEPDOWN_WIDEST void add_to_four(RowsAt<const float> weights, RowsAt<const float> rows, std::int64_t terms,
                                 RowsAt<float> into) {
  Lanes sums[4][kVectors];
#pragma GCC unroll 4
  for (int output = 0; output < 4; ++output) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) sums[output][i] = lanes(into.row(output) + i * kLaneCount);
  }
  for (std::int64_t term = 0; term < terms; ++term) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      const Lanes row = lanes(rows.row(term) + i * kLaneCount);
#pragma GCC unroll 4
      for (int output = 0; output < 4; ++output) sums[output][i] += weights.row(output)[term] * row;
    }
  }
#pragma GCC unroll 4
  for (int output = 0; output < 4; ++output) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) lanes(into.row(output) + i * kLaneCount) = sums[output][i];
  }
}

STEPDOWN_WIDEST void add_to_one(const float* weights, RowsAt<const float> rows, std::int64_t terms,
                                float* into) {
  Lanes sums[kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) sums[i] = lanes(into + i * kLaneCount);
  for (std::int64_t term = 0; term < terms; ++term) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) sums[i] += weights[term] * lanes(rows.row(term) + i * kLaneCount);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) lanes(into + i * kLaneCount) = sums[i];
}

/// Rows and columns in reverse order.
Matrix reversed(const Matrix& matrix) {
  Matrix result = matrix;
  std::ranges::reverse(result.values);
  return result;
}

}  // namespace

STEPDOWN_WIDEST void axpy(float a, const float* x, float* y, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) y[i] += a * x[i];
}

STEPDOWN_WIDEST float dot(const float* x, const float* y, std::size_t count) {
  constexpr std::size_t kLanes = 16;  // sums kept apart, so that they fill a register
  std::array<float, kLanes> sums = {};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += x[i + lane] * y[i + lane];
  }
  float sum = 0.0f;
  for (; i < count; ++i) sum += x[i] * y[i];
  for (const float part : sums) sum += part;
  return sum;
}

STEPDOWN_WIDEST void dots(const float* x, const float* rows, std::int64_t stride, std::size_t width,
                          std::span<float> into) {
  constexpr std::size_t kLanes = 16;
  constexpr std::size_t kTogether = 8;  // rows whose sums are added up side by side
  std::size_t done = 0;
  for (; done + kTogether <= into.size(); done += kTogether) {
    float sums[kTogether][kLanes] = {};
    float totals[kTogether] = {};
    for (std::size_t row = 0; row < kTogether; ++row, rows += stride) {
      std::size_t i = 0;
      for (; i + kLanes <= width; i += kLanes) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) sums[row][lane] += x[i + lane] * rows[i + lane];
      }
      for (; i < width; ++i) totals[row] += x[i] * rows[i];
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      for (std::size_t row = 0; row < kTogether; ++row) totals[row] += sums[row][lane];
    }
    std::copy_n(totals, kTogether, into.data() + done);
  }
  for (; done < into.size(); ++done, rows += stride) into[done] = dot(x, rows, width);
}

void add_product(RowsAt<const float> weights, RowsAt<const float> rows, std::int64_t terms,
                 RowsAt<float> into, std::int64_t outputs, std::int64_t width) {
  std::int64_t begin = 0;
  for (; begin + kStep <= width; begin += kStep) {
    const RowsAt<const float> columns = {rows.first + begin, rows.stride};
    std::int64_t output = 0;
    for (; output + 4 <= outputs; output += 4)
      add_to_four({weights.row(output), weights.stride}, columns, terms,
                  {into.row(output) + begin, into.stride});
    for (; output < outputs; ++output)
      add_to_one(weights.row(output), columns, terms, into.row(output) + begin);
  }
  for (std::int64_t output = 0; output < outputs && begin < width; ++output) {
    for (std::int64_t term = 0; term < terms; ++term)
      axpy(weights.row(output)[term], rows.row(term) + begin, into.row(output) + begin,
           static_cast<std::size_t>(width - begin));
  }
}

std::optional<Matrix> inverse_cholesky(kernels::ThreadPool& pool, const Matrix& h) {
  // With rows and columns reversed, H = L·Lᵀ of a lower L becomes H = V·Vᵀ of an upper V, so H⁻¹ = V⁻ᵀ·V⁻¹.
  Matrix lower = reversed(h);
  if (!factor(pool, lower)) return std::nullopt;
  return reversed(inverse_of_lower(pool, lower));
}

}  // namespace stepdown::quant
