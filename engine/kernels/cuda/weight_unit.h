#pragma once

#include "engine/kernels/cuda/platform.h"
#include "engine/kernels/cuda/rounding.h"

// A warp's registers of one unit of weights (16 rows, 64 columns), and how they become operands of the tensor
// cores; weight_format.h draws the layout.
namespace stepdown::kernels::cuda {

template <int kShift>
__device__ inline Word shifted_right(Word word) {
  if constexpr (kShift >= 0) {
    return word >> kShift;
  } else {
    return word << -kShift;
  }
}

/// Reads kWords consecutive words of one lane from a plane of [quad][lane].
template <int kWords>
__device__ inline void load_plane(const std::byte* plane, int lane, Word* out) {
  if constexpr (kWords >= 4) {
    const auto* quads = reinterpret_cast<const Quad*>(plane) + lane;
#pragma unroll
    for (int i = 0; i < kWords / 4; ++i) {
      const Quad quad = load_once(quads + i * kLanes);
      out[4 * i] = quad.x, out[4 * i + 1] = quad.y, out[4 * i + 2] = quad.z, out[4 * i + 3] = quad.w;
    }
  } else {
    const auto* words = reinterpret_cast<const Word*>(plane) + lane * kWords;
#pragma unroll
    for (int i = 0; i < kWords; ++i) out[i] = words[i];
  }
}

/// Of kWeightFormats[kIndex]. (nvcc 13.0 cannot name a kernel whose template argument is a struct.)
template <int kIndex>
struct WeightUnit {
  static constexpr WeightFormat kFormat = kWeightFormats[kIndex];
  Word low[kFormat.low_words()];
  Word high[kFormat.high_words() > 0 ? kFormat.high_words() : 1];
  Word stored[2];  ///< scales as they lie in memory, and minima
  Word super[2];

  /// Of unit `unit` of tile `tile`: all loads, no arithmetic, so that several units can be on their way.
  __device__ void load(const DeviceMatrix& matrix, int tile, int unit, int lane) {
    const std::int64_t index = std::int64_t{tile} * matrix.units() + unit;
    const std::byte* codes = matrix.codes + index * kFormat.unit_code_bytes();
    load_plane<kFormat.low_words()>(codes, lane, low);
    if constexpr (kFormat.high_words() > 0)
      load_plane<kFormat.high_words()>(codes + kFormat.low_words() * kLanes * 4, lane, high);
    if constexpr (!kFormat.plain()) {
      const int pair = lane % 4 * 16 / kFormat.group * 8 + lane / 4;
      const std::byte* at = matrix.scales + index * kFormat.unit_scale_bytes() + pair * kFormat.pair_bytes();
      if constexpr (kFormat.pair_bytes() == 2) {
        stored[0] = *reinterpret_cast<const std::uint16_t*>(at);
      } else {
        stored[0] = *reinterpret_cast<const Word*>(at);
        if constexpr (kFormat.pair_bytes() == 8) stored[1] = *reinterpret_cast<const Word*>(at + 4);
      }
    }
    if constexpr (kFormat.two_level) {
      const std::int64_t of = std::int64_t{tile} * matrix.supers_per_tile() + unit / kUnitsPerSuper;
      const auto* at = reinterpret_cast<const Word*>(matrix.supers + of * kFormat.super_bytes());
      if constexpr (kFormat.minima) {
        super[0] = at[lane / 4 * 2];
        super[1] = at[lane / 4 * 2 + 1];
      } else {
        super[0] = at[lane / 4];
      }
    }
  }

  /// Scales of rows g and g + 8 in one word, and minima in the other.
  __device__ void scales(Word (&out)[2]) const {
    if constexpr (!kFormat.two_level) {
      out[0] = stored[0];
      if constexpr (kFormat.minima) out[1] = stored[1];
    } else {
      constexpr Word kAway = halves_of(-(1024 + 128));  // of bytes with their sign bit turned
      const Word bytes = stored[0] ^ 0x80808080u;
      out[0] = multiply_halves(super[0], add_halves(select_bytes(bytes, 0x64646464u, 0x4140u), kAway));
      if constexpr (kFormat.minima)
        out[1] = multiply_halves(super[1], add_halves(select_bytes(bytes, 0x64646464u, 0x4342u), kAway));
    }
  }

  /// 1024 + code · (1 or, for odd pairs of codes below 8 bits, 16), twice.
  template <int kStep, int kPair>
  __device__ Word counted() const {
    constexpr Field kLow = low_field(kFormat.low_bits(), kStep, kPair, 0);
    if constexpr (kFormat.bits == 8) {
      return select_bytes(low[kLow.word], 0x64646464u, kPair % 2 == 0 ? 0x4140u : 0x4342u);
    } else {
      constexpr int kAt = kPair % 2 * 4;
      constexpr Word kMask = ((1u << kFormat.low_bits()) - 1u) << kAt;
      Word bits = (shifted_right<kLow.bit - kAt>(low[kLow.word]) & kMask * 0x10001u) | kExponent1024;
      if constexpr (kFormat.high_bits() > 0) {
        constexpr Field kHigh = high_field(kFormat.high_bits(), kStep, kPair, 0);
        constexpr int kHighAt = kAt + kFormat.low_bits();
        constexpr Word kHighMask = ((1u << kFormat.high_bits()) - 1u) << kHighAt;
        bits |= shifted_right<kHigh.bit - kHighAt>(high[kHigh.word]) & kHighMask * 0x10001u;
      }
      return bits;
    }
  }

  template <int kStep, int kPair>
  __device__ Word operand(const Word (&scale)[2]) const {
    if constexpr (kFormat.plain()) {
      return low[low_field(16, kStep, kPair, 0).word];
    } else {
      const Word counts = counted<kStep, kPair>();
      const bool by_sixteen = kFormat.bits != 8 && kPair % 2 != 0;
      const Word code = by_sixteen
                            ? multiply_add_halves(counts, kSixteenth, halves_of(-(64 + kFormat.offset)))
                            : add_halves(counts, halves_of(-(1024 + kFormat.offset)));
      constexpr Word kRow = kPair % 2 == 0 ? 0x1010u : 0x3232u;  // the row's scale in both halves
      const Word of_row = select_bytes(scale[0], 0, kRow);
      if constexpr (!kFormat.minima) return multiply_halves(code, of_row);
      return multiply_add_halves(code, of_row, select_bytes(scale[1], 0, kRow));
    }
  }

  /// Operand A of the unit's four k16 steps.
  __device__ void operands(Word (&out)[kUnitSteps][4]) const {
    Word scale[2] = {};
    if constexpr (!kFormat.plain()) scales(scale);
    step<0>(scale, out[0]);
    step<1>(scale, out[1]);
    step<2>(scale, out[2]);
    step<3>(scale, out[3]);
  }
  template <int kStep>
  __device__ void step(const Word (&scale)[2], Word (&out)[4]) const {
    out[0] = operand<kStep, 0>(scale);
    out[1] = operand<kStep, 1>(scale);
    out[2] = operand<kStep, 2>(scale);
    out[3] = operand<kStep, 3>(scale);
  }
};

/// Operand B of step `step` from 16 consecutive halves of a token.
__device__ inline void input_operand(const Quad (&halves)[2], int step, Word (&out)[2]) {
  const Quad& quad = halves[step / 2];
  out[0] = step % 2 == 0 ? quad.x : quad.z;
  out[1] = step % 2 == 0 ? quad.y : quad.w;
}

}  // namespace stepdown::kernels::cuda
