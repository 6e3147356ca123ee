#pragma once

#include <span>

#include "engine/kernels/blocks.h"

namespace stepdown::kernels {

/// One stored block → floats, in the order of operations of ggml's scalar code, so that results agree bit by
/// bit.
void decode_block(const BlockQ4_0& block, std::span<float, 32> out);
void decode_block(const BlockQ4_1& block, std::span<float, 32> out);
void decode_block(const BlockQ5_0& block, std::span<float, 32> out);
void decode_block(const BlockQ5_1& block, std::span<float, 32> out);
void decode_block(const BlockQ8_0& block, std::span<float, 32> out);
void decode_block(const BlockIQ4_NL& block, std::span<float, 32> out);
void decode_block(const BlockMXFP4& block, std::span<float, 32> out);
void decode_block(const BlockQ2_K& block, std::span<float, 256> out);
void decode_block(const BlockQ3_K& block, std::span<float, 256> out);
void decode_block(const BlockQ4_K& block, std::span<float, 256> out);
void decode_block(const BlockQ5_K& block, std::span<float, 256> out);
void decode_block(const BlockQ6_K& block, std::span<float, 256> out);
void decode_block(const BlockIQ4_XS& block, std::span<float, 256> out);
void decode_block(const BlockTQ1_0& block, std::span<float, 256> out);
void decode_block(const BlockTQ2_0& block, std::span<float, 256> out);

}  // namespace stepdown::kernels
