#pragma once

#include <cstdint>

#include "engine/kernels/thread_pool.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// inputs · weightᵀ. Results of everything here do not depend on the number of threads, nor a row's on those
/// beside it.
Matrix product(kernels::ThreadPool& pool, const Matrix& inputs, const Matrix& weight);

/// gram += xᵀ · x of `count` rows of the inputs from `first` on, on and below the diagonal alone: what lies
/// above is the same, and mirror() writes it when all is added. gram is [columns][columns].
void add_gram(kernels::ThreadPool& pool, const Matrix& inputs, std::int64_t first, std::int64_t count,
              Matrix& gram);
void mirror(Matrix& gram);

}  // namespace stepdown::quant
