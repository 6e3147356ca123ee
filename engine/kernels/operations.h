#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/kernels/packing.h"

namespace stepdown::kernels {

/// Weight codes may be stored this much too high, or by a smaller power of two.
inline constexpr std::int32_t kStartOffset = 128;

/// Activations of one block of 32 columns: value ≈ scale · code. A block with a NaN or an infinity has codes
/// 0 and scale NaN, so that it shows in every product.
struct BlockScale {
  float scale;
  float sum;  ///< scale · Σ codes: what a weight block's minimum is multiplied with
};

/// Further sums over a block's codes; "low" are the first 16 columns, "high" the last. The starts are
/// −kStartOffset · Σ codes, with which an integer dot product begins when weight codes are stored too high.
struct BlockSums {
  std::int32_t start;
  std::int32_t low_start;
  std::int32_t high_start;
  float low_sum;  ///< scale · Σ codes
  float high_sum;
};

/// One panel of rows of activations quantized to int8 (−127…127), row-major.
struct CodedRows {
  const std::int8_t* codes;  ///< [row][columns]
  const BlockScale* scales;  ///< [row][columns / 32]
  const BlockSums* sums;     ///< [row][columns / 32]
  std::int64_t columns;
};

/// What is asked of the next-token distribution.
struct Distribution {
  bool finite;
  float maximum;
  float log_sum;  ///< log Σ exp(logit)
  float entropy;  ///< nats
};

/// out[row · out_stride + 0…16 · tiles − 1] (+)= input row · the weight rows of up to kGroupTiles tiles that
/// follow each other in a panel. An output's bits depend on its own row and weights alone: not on `count`,
/// nor on where in a batch the row stands.
using CodesTiles = void (*)(const std::byte* tile, std::int64_t tiles, const CodedRows& input,
                            std::int64_t first, std::int64_t count, float* out, std::int64_t out_stride,
                            bool accumulate);
/// The same for tiles of plain elements [column][16], each of whole cache lines; `input` is
/// [row][input_stride] floats.
using PlainTiles = void (*)(const std::byte* tile, std::int64_t tiles, std::int64_t columns,
                            const float* input, std::int64_t input_stride, std::int64_t count, float* out,
                            std::int64_t out_stride, bool accumulate);
/// The same for one tile of the KV cache.
using PlainTile = void (*)(const std::byte* tile, std::int64_t columns, const float* input,
                           std::int64_t input_stride, std::int64_t count, float* out, std::int64_t out_stride,
                           bool accumulate);

/// What an f8_tile takes each element times: E4M3's exponent is then binary16's own.
inline constexpr float kFp8Unit = 1.0f / 256.0f;
/// An i4_tile reads code − kInt4Zero.
inline constexpr float kInt4Zero = 8.0f;

/// One row per instruction set; the best that the machine has is chosen once.
struct Operations {
  std::string_view name;
  bool (*supported)();
  std::array<CodesTiles, kPackings.size()> codes_tiles;
  PlainTiles f32_tiles;
  PlainTiles f16_tiles;
  PlainTiles bf16_tiles;  ///< of the amx and avx512bf16 rows: inputs are rounded to BF16
  PlainTile f16_tile;
  PlainTile i8_tile;  ///< int8 elements as they are
  PlainTile f8_tile;  ///< FP8 E4M3 elements in units of kFp8Unit
  PlainTile i4_tile;  ///< 4-bit codes, the even row's in a byte's low half
  /// Quantizes one row; `count` is a multiple of 32.
  void (*encode_row)(const float* row, std::int64_t count, std::int8_t* codes, BlockScale* scales,
                     BlockSums* sums);
  /// out = row / rms(row) · weight.
  void (*rms_norm)(const float* row, const float* weight, float epsilon, std::int64_t count, float* out);
  /// gate = silu(gate) · up.
  void (*silu_multiply)(float* gate, const float* up, std::int64_t count);
  /// gate = gelu(gate) · up, by GELU's tanh form.
  void (*gelu_multiply)(float* gate, const float* up, std::int64_t count);
  /// In place; the maximum is subtracted first.
  void (*softmax)(float* row, std::int64_t count);
  Distribution (*summarize)(const float* logits, std::int64_t count);
};

/// Every compiled row, best first; the scalar one is last and always supported.
std::span<const Operations* const> all_operations();
/// The row of that name; nullptr where it is not compiled or this machine does not support it.
const Operations* find_operations(std::string_view name);

/// Names the row to use in place of the best one.
inline constexpr const char* kInstructionSetVariable = "STEPDOWN_INSTRUCTION_SET";
/// The best row this machine supports, or the one that the environment names. Throws InputError, the first
/// time, where that is none of this machine's.
const Operations& operations();

}  // namespace stepdown::kernels
