#pragma once

#include <cstddef>
#include <cstdint>

namespace stepdown::kernels {

/// Operations::bf16_tiles by Intel's matrix registers: inputs are rounded to BF16.
void amx_bf16_tiles(const std::byte* tile, std::int64_t tiles, std::int64_t columns, const float* input,
                    std::int64_t input_stride, std::int64_t count, float* out, std::int64_t out_stride,
                    bool accumulate);

}  // namespace stepdown::kernels
