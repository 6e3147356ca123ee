#pragma once

#include <span>

#include "engine/kernels/blocks.h"

namespace stepdown::quant {

/// One block of weights, finite and within binary16's range, → its stored form: byte for byte what ggml's
/// quantize_row_*_ref write.
void encode_block(std::span<const float, 32> weights, kernels::BlockQ4_0& block);
void encode_block(std::span<const float, 32> weights, kernels::BlockQ4_1& block);
void encode_block(std::span<const float, 32> weights, kernels::BlockQ5_0& block);
void encode_block(std::span<const float, 32> weights, kernels::BlockQ5_1& block);
void encode_block(std::span<const float, 32> weights, kernels::BlockQ8_0& block);
void encode_block(std::span<const float, 256> weights, kernels::BlockQ2_K& block);
void encode_block(std::span<const float, 256> weights, kernels::BlockQ3_K& block);
void encode_block(std::span<const float, 256> weights, kernels::BlockQ4_K& block);
void encode_block(std::span<const float, 256> weights, kernels::BlockQ5_K& block);
void encode_block(std::span<const float, 256> weights, kernels::BlockQ6_K& block);

}  // namespace stepdown::quant
