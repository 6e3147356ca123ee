#pragma once

#include <cstddef>
#include <span>

#include "engine/base/tensor.h"
#include "engine/kernels/cuda/weight_format.h"
#include "engine/kernels/thread_pool.h"

namespace stepdown::kernels::cuda {

/// Where the parts of a repacked matrix begin, each aligned to 256 bytes; bytes.
struct WeightLayout {
  int format;  ///< of kWeightFormats
  std::int32_t rows, columns;
  std::size_t scales, supers, bytes;
};

/// The layout of several matrices over the same input one below the other, such as query, key and value,
/// which one kernel then multiplies. All have the same type and columns. Throws InputError for a type or
/// shape that no kernel multiplies.
WeightLayout layout_of(std::span<const TensorView> tensors);

/// Whether one kernel can multiply them together.
bool joinable(std::span<const TensorView> tensors);

/// Repacks into `out`, zeroed and layout.bytes long. F32 and BF16 elements become binary16; throws InputError
/// for one beyond its range.
void repack(std::span<const TensorView> tensors, const WeightLayout& layout, std::span<std::byte> out,
            ThreadPool& pool);

/// The matrix once its bytes lie at `memory` on the device.
DeviceMatrix matrix_at(const WeightLayout& layout, const std::byte* memory);

}  // namespace stepdown::kernels::cuda
