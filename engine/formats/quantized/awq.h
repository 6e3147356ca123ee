#pragma once

#include <vector>

#include "engine/formats/quantized/affine_matrix.h"
#include "engine/formats/quantized/layout.h"
#include "engine/formats/quantized/named_tensor.h"

namespace stepdown::formats {

/// AutoAWQ's GEMM layout, 4 bits: qweight [in, out/8] and qzeros [groups, out/8] packed along the output,
/// nibble i of a word holding column 0, 2, 4, 6, 1, 3, 5, 7; scales F16 [groups, out]. Throws InputError when
/// the rows do not fill whole words.
std::vector<NamedTensor> pack_awq(const AffineMatrix& matrix);

ReadWeight awq_reader(const JsonView& config);

}  // namespace stepdown::formats
