#include "engine/quant/linear_algebra.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/quant/widest.h"

namespace stepdown::quant {
namespace {

constexpr std::int64_t kPanel = 64;   // columns that are factored together
constexpr std::int64_t kStrip = 256;  // columns of the inverse that one task computes

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
      const std::int64_t i = end + index;
      for (std::int64_t j = end; j <= i; ++j) {
        a.row(i)[j] -= dot(a.row(i) + first, a.row(j) + first, static_cast<std::size_t>(end - first));
      }
    });
  }
  return true;
}

/// L⁻¹ of a lower triangular L.
Matrix inverse_of_lower(kernels::ThreadPool& pool, const Matrix& lower) {
  Matrix inverse(lower.rows, lower.columns);
  pool.each((lower.columns + kStrip - 1) / kStrip, [&](std::int64_t strip, int /*worker*/) {
    const std::int64_t first = strip * kStrip;
    const std::int64_t end = std::min(first + kStrip, lower.columns);
    for (std::int64_t i = first; i < lower.rows; ++i) {
      float* row = inverse.row(i);
      if (i < end) row[i] = 1.0f;
      for (std::int64_t k = first; k < i; ++k) {
        axpy(-lower.row(i)[k], inverse.row(k) + first, row + first, static_cast<std::size_t>(end - first));
      }
      const float scale = 1.0f / lower.row(i)[i];
      for (std::int64_t j = first; j < std::min(end, i + 1); ++j) row[j] *= scale;
    }
  });
  return inverse;
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

STEPDOWN_WIDEST void add_weighted(std::span<const float> weights, const float* rows, std::int64_t stride,
                                  std::size_t width, float* y) {
  constexpr std::size_t kStep = 64;  // columns that stay in registers
  std::size_t begin = 0;
  for (; begin + kStep <= width; begin += kStep) {
    float sums[kStep];
    std::copy_n(y + begin, kStep, sums);
    const float* row = rows + begin;
    for (const float weight : weights) {
      for (std::size_t i = 0; i < kStep; ++i) sums[i] += weight * row[i];
      row += stride;
    }
    std::copy_n(sums, kStep, y + begin);
  }
  if (begin == width) return;
  for (const float weight : weights) {
    for (std::size_t i = begin; i < width; ++i) y[i] += weight * rows[i];
    rows += stride;
  }
}

std::optional<Matrix> inverse_cholesky(kernels::ThreadPool& pool, const Matrix& h) {
  // With rows and columns reversed, H = L·Lᵀ of a lower L becomes H = V·Vᵀ of an upper V, so H⁻¹ = V⁻ᵀ·V⁻¹.
  Matrix lower = reversed(h);
  if (!factor(pool, lower)) return std::nullopt;
  return reversed(inverse_of_lower(pool, lower));
}

}  // namespace stepdown::quant
