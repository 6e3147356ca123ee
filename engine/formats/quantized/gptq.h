#pragma once

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/formats/json_view.h"
#include "engine/formats/quantized/affine_matrix.h"
#include "engine/formats/quantized/layout.h"
#include "engine/formats/quantized/named_tensor.h"

namespace stepdown::formats {

/// AutoGPTQ's layout: qweight [in·bits/32, out] packed along the input, qzeros [groups, out·bits/32] packed
/// along the output, scales F16 [groups, out], g_idx [in]. Version 1 stores zeros less one, so it cannot hold
/// a zero of 0; version 2 stores them as they are.
enum class GptqVersion { kV1, kV2 };

/// Tensors named "qweight", "qzeros", "scales", "g_idx". Scales must be binary16 values. Throws InputError
/// for a shape whose codes do not fill whole words, or a zero that version 1 cannot hold.
std::vector<NamedTensor> pack_gptq(const AffineMatrix& matrix, GptqVersion version);

/// Reader for a checkpoint with this quantization_config.
ReadWeight gptq_reader(const JsonView& config);

}  // namespace stepdown::formats
