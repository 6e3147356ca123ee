#pragma once

#include <optional>
#include <vector>

#include "engine/formats/quantized/affine_matrix.h"
#include "engine/formats/quantized/layout.h"
#include "engine/formats/quantized/named_tensor.h"
#include "engine/formats/quantized/scaled_float8.h"

namespace stepdown::formats {

/// kTensor: all groups have one scale and zero, which is stored once.
enum class ScaleShape { kGroups, kTensor };

/// "pack-quantized": weight_packed I32 [out, ⌈in·bits/32⌉] along the input, weight_scale F16 [out, groups],
/// weight_shape I64 [2]; asymmetric: weight_zero_point I32 [⌈out·bits/32⌉, groups] along the output;
/// act-order: weight_g_idx I32 [in].
std::vector<NamedTensor> pack_compressed(const AffineMatrix& matrix, bool symmetric, ScaleShape shape);
/// "int-quantized": weight I8 [out, in], weight_scale F32 [out, 1] or [1]; zeros must be 128.
std::vector<NamedTensor> pack_compressed_int8(const AffineMatrix& matrix, ScaleShape shape);
/// "float-quantized": weight E4M3 [out, in], weight_scale F32 [out, 1], [1] or by block.
std::vector<NamedTensor> pack_compressed_float8(const ScaledFloat8& matrix);

ReadWeight compressed_tensors_reader(const JsonView& config);

}  // namespace stepdown::formats
