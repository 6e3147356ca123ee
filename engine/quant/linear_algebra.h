#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/kernels/thread_pool.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// y += a · x. Results of everything here do not depend on the number of threads.
void axpy(float a, const float* x, float* y, std::size_t count);
float dot(const float* x, const float* y, std::size_t count);
/// into[i] = x · row i, to the same bits as dot(); rows are `width` long and `stride` apart.
void dots(const float* x, const float* rows, std::int64_t stride, std::size_t width, std::span<float> into);
/// Rows that are `stride` apart.
template <class T>
struct RowsAt {
  T* first;
  std::int64_t stride;
  T* row(std::int64_t index) const { return first + index * stride; }
};

/// into [outputs][width] += weights [outputs][terms] · rows [terms][width], to the same bits as axpy() term
/// after term.
void add_product(RowsAt<const float> weights, RowsAt<const float> rows, std::int64_t terms,
                 RowsAt<float> into, std::int64_t outputs, std::int64_t width);

/// The upper triangular U with H⁻¹ = Uᵀ·U of a symmetric H; nullopt when H is not positive definite.
std::optional<Matrix> inverse_cholesky(kernels::ThreadPool& pool, const Matrix& h);

}  // namespace stepdown::quant
