#pragma once

#include <cstddef>
#include <optional>

#include "engine/kernels/thread_pool.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// y += a · x. Results of everything here do not depend on the number of threads.
void axpy(float a, const float* x, float* y, std::size_t count);
float dot(const float* x, const float* y, std::size_t count);

/// gram += inputsᵀ · inputs; gram is [columns][columns].
void add_gram(kernels::ThreadPool& pool, const Matrix& inputs, Matrix& gram);

/// The upper triangular U with H⁻¹ = Uᵀ·U of a symmetric H; nullopt when H is not positive definite.
std::optional<Matrix> inverse_cholesky(kernels::ThreadPool& pool, const Matrix& h);

}  // namespace stepdown::quant
