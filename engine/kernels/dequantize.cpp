#include "engine/kernels/dequantize.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/kernels/dequantize_blocks.h"

namespace stepdown::kernels {
namespace {

using Decoder = void (*)(const std::byte* row, std::span<float> out);

void copy_f32(const std::byte* row, std::span<float> out) {
  std::memcpy(out.data(), row, out.size_bytes());
}

template <float (*Widen)(std::uint16_t)>
void widen(const std::byte* row, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, row + i * sizeof(bits), sizeof(bits));
    out[i] = Widen(bits);
  }
}

/// Rows may lie at any address, so each block is copied out before it is read.
template <typename Block, std::size_t Elements, void (*Decode)(const Block&, std::span<float, Elements>)>
void decode_blocks(const std::byte* row, std::span<float> out) {
  for (std::size_t i = 0; i < out.size() / Elements; ++i) {
    Block block;
    std::memcpy(&block, row + i * sizeof(Block), sizeof(Block));
    Decode(block, out.subspan(i * Elements).template first<Elements>());
  }
}

struct Row {
  DType type;
  Decoder decode;
};

constexpr std::array kDecoders = {
    Row{DType::kF32, copy_f32},
    Row{DType::kF16, widen<f16_to_f32>},
    Row{DType::kBF16, widen<bf16_to_f32>},
    Row{DType::kQ4_0, decode_blocks<BlockQ4_0, 32, decode_block>},
    Row{DType::kQ4_1, decode_blocks<BlockQ4_1, 32, decode_block>},
    Row{DType::kQ5_0, decode_blocks<BlockQ5_0, 32, decode_block>},
    Row{DType::kQ5_1, decode_blocks<BlockQ5_1, 32, decode_block>},
    Row{DType::kQ8_0, decode_blocks<BlockQ8_0, 32, decode_block>},
    Row{DType::kIQ4_NL, decode_blocks<BlockIQ4_NL, 32, decode_block>},
    Row{DType::kQ2_K, decode_blocks<BlockQ2_K, 256, decode_block>},
    Row{DType::kQ3_K, decode_blocks<BlockQ3_K, 256, decode_block>},
    Row{DType::kQ4_K, decode_blocks<BlockQ4_K, 256, decode_block>},
    Row{DType::kQ5_K, decode_blocks<BlockQ5_K, 256, decode_block>},
    Row{DType::kQ6_K, decode_blocks<BlockQ6_K, 256, decode_block>},
    Row{DType::kIQ4_XS, decode_blocks<BlockIQ4_XS, 256, decode_block>},
    Row{DType::kTQ1_0, decode_blocks<BlockTQ1_0, 256, decode_block>},
    Row{DType::kTQ2_0, decode_blocks<BlockTQ2_0, 256, decode_block>},
    Row{DType::kMXFP4, decode_blocks<BlockMXFP4, 32, decode_block>},
};

}  // namespace

void dequantize_row(DType type, std::span<const std::byte> row, std::span<float> out) {
  const auto* decoder = std::ranges::find(kDecoders, type, &Row::type);
  if (decoder == kDecoders.end()) throw Error("no decoder for type " + std::string(dtype_info(type).name));
  if (row_bytes(type, out.size()) != row.size()) {
    throw Error("a row of " + std::to_string(row.size()) + " bytes does not hold " +
                std::to_string(out.size()) + " elements of " + std::string(dtype_info(type).name));
  }
  decoder->decode(row.data(), out);
}

}  // namespace stepdown::kernels
