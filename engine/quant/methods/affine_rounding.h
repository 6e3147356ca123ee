#pragma once

#include "engine/formats/quantized/affine_matrix.h"
#include "engine/kernels/thread_pool.h"
#include "engine/quant/integer_grid.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// An AffineMatrix without codes yet: one grid for each group of each row is set by set_grid.
formats::AffineMatrix empty_affine(const Matrix& weight, int bits, std::int64_t group_size);
void set_grid(formats::AffineMatrix& matrix, std::int64_t row, std::int64_t group, const IntegerGrid& grid);

/// Every weight rounded to the nearest value of its group's own grid. group_size ≤ 0: one group a row.
formats::AffineMatrix round_to_nearest(kernels::ThreadPool& pool, const Matrix& weight,
                                       std::int64_t group_size, const GridSearch& search);

std::vector<float> values_of(const formats::AffineMatrix& matrix);

}  // namespace stepdown::quant
