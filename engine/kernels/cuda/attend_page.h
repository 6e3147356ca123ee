#pragma once

#include "engine/kernels/cuda/platform.h"
#include "engine/kernels/cuda/rounding.h"

// A page of keys and values in shared memory, and how a warp reads its operands from it.
namespace stepdown::kernels::cuda {

/// Pitches keep the wide reads of a warp off each other's banks: with t = lane % 4 and g = lane / 4, keys are
/// read by 8 dims at 8t of token g's row, values by 4 tokens at 4t of dim g's row.
template <KvElement kElement, int kDim>
struct PageShape {
  static constexpr int kBits = bits_of(kElement);
  static constexpr int kKeyRow = kDim * kBits / 8;  ///< bytes of a token's keys
  static constexpr int kKeyPitch = kKeyRow + 4 * kBits;
  static constexpr int kValueRows = kElement == KvElement::kInt4 ? kDim / 2 : kDim;
  static constexpr int kValueRow = KvLayer::kPageTokens * kDim * kBits / 8 / kValueRows;
  static constexpr int kValuePitch = kValueRow + (kElement == KvElement::kHalf ? 32 : 16);
  static constexpr int kKeyBytes = KvLayer::kPageTokens * kKeyPitch;
  static constexpr int kScaleBytes = kElement == KvElement::kHalf ? 0 : 2 * KvLayer::kPageTokens * 2;
  static constexpr int kBytes = kKeyBytes + kValueRows * kValuePitch + kScaleBytes;
};

template <KvElement kElement, int kDim>
struct Page {
  using Shape = PageShape<kElement, kDim>;
  std::byte* memory;

  /// Starts copying one head of a page; all of the block's threads take part.
  __device__ void fetch(const std::byte* head, int threads) const {
    constexpr int kKeyRow = Shape::kKeyRow / 16;  // copies a row
    constexpr int kValueRow = Shape::kValueRow / 16;
    constexpr int kKeys = KvLayer::kPageTokens * kKeyRow;
    constexpr int kValues = Shape::kValueRows * kValueRow;
    constexpr int kScales = Shape::kScaleBytes / 16;
    for (int i = static_cast<int>(threadIdx.x); i < kKeys + kValues + kScales; i += threads) {
      std::byte* to = memory;
      if (i < kKeys) {
        to += i / kKeyRow * Shape::kKeyPitch + i % kKeyRow * 16;
      } else if (i < kKeys + kValues) {
        const int j = i - kKeys;
        to += Shape::kKeyBytes + j / kValueRow * Shape::kValuePitch + j % kValueRow * 16;
      } else {
        to += Shape::kBytes - Shape::kScaleBytes + (i - kKeys - kValues) * 16;
      }
      copy_behind(to, head + std::int64_t{i} * 16, true);
    }
  }

  /// Eight consecutive codes as halves, without their scale.
  static __device__ void widen(Word low, Word high, Word (&out)[4]) {
    const Word words[2] = {low, high};
#pragma unroll
    for (int i = 0; i < 4; ++i) out[i] = halves_of_codes(words[i / 2], i % 2);
  }
  /// Eight keys' codes of four bits, in Int4Pair's order.
  static __device__ void widen_nibbles(Word word, Word (&out)[4]) {
    constexpr Word kAway = halves_of(-(1024 + kInt4Zero));
    constexpr Word kAwayOfSixteenths = halves_of(-(64 + kInt4Zero));
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const Word pairs = word >> (8 * i);
      out[2 * i] = add_halves((pairs & 0x000f000fu) | kExponent1024, kAway);
      out[2 * i + 1] =
          multiply_add_halves((pairs & 0x00f000f0u) | kExponent1024, kSixteenth, kAwayOfSixteenths);
    }
  }
  /// Codes 2i and 2i + 1 of a word of four.
  static __device__ Word halves_of_codes(Word word, int i) {
    if constexpr (kElement == KvElement::kFp8) {
      return halves_of_e4m3(select_bytes(word, 0, i == 0 ? 0x4140u : 0x4342u));
    } else if constexpr (kElement == KvElement::kInt4) {
      return add_halves(select_bytes(word, 0x64646464u, i == 0 ? 0x4140u : 0x4342u),
                        halves_of(-(1024 + kInt4Zero)));
    } else {
      constexpr Word kAway = 0xe480e480u;  // −(1024 + 128), of bytes with their sign bit turned
      return add_halves(select_bytes(word ^ 0x80808080u, 0x64646464u, i == 0 ? 0x4140u : 0x4342u), kAway);
    }
  }

  /// Operands B of two k16 steps over dims 32·chunk…+31 for eight tokens: this lane's column is `token`.
  __device__ void keys(int token, int chunk, int t, Word (&out)[4]) const {
    const std::byte* at = memory + token * Shape::kKeyPitch + (chunk * 4 + t) * Shape::kBits;
    if constexpr (kElement == KvElement::kHalf) {
      const Quad quad = *reinterpret_cast<const Quad*>(at);
      out[0] = quad.x, out[1] = quad.y, out[2] = quad.z, out[3] = quad.w;
    } else if constexpr (kElement == KvElement::kInt4) {
      widen_nibbles(*reinterpret_cast<const Word*>(at), out);
    } else {
      widen(reinterpret_cast<const Word*>(at)[0], reinterpret_cast<const Word*>(at)[1], out);
    }
  }

  /// Operand B of the k16 step over tokens 16·chunk…+15 for eight dims: this lane's column is dim 8n + g, its
  /// rows are tokens 4t…4t+3.
  __device__ void values(int n, int g, int chunk, int t, const Word (&scales)[2], Word (&out)[2]) const {
    const int row = kElement == KvElement::kInt4 ? n / 2 * 8 + g : n * 8 + g;
    const std::byte* at = memory + Shape::kKeyBytes + row * Shape::kValuePitch +
                          (chunk * 4 + t) * (Shape::kValueRow / (KvLayer::kPageTokens / 4));
    if constexpr (kElement == KvElement::kHalf) {
      out[0] = reinterpret_cast<const Word*>(at)[0];
      out[1] = reinterpret_cast<const Word*>(at)[1];
    } else {
      Word word = *reinterpret_cast<const Word*>(at);
      if constexpr (kElement == KvElement::kInt4) word = word >> (n % 2 * 4) & 0x0f0f0f0fu;
      out[0] = multiply_halves(halves_of_codes(word, 0), scales[0]);
      out[1] = multiply_halves(halves_of_codes(word, 1), scales[1]);
    }
  }

  __device__ const std::uint16_t* scales() const {
    return reinterpret_cast<const std::uint16_t*>(memory + Shape::kBytes - Shape::kScaleBytes);
  }
  __device__ float key_scale(int token) const {
    if constexpr (kElement == KvElement::kHalf) return 1.0f;
    return low_half(scales()[token]);
  }
  /// Of tokens 16·chunk + 4t…+3.
  __device__ void value_scales(int chunk, int t, Word (&out)[2]) const {
    if constexpr (kElement == KvElement::kHalf) {
      out[0] = out[1] = 0;
    } else {
      const auto* at = reinterpret_cast<const Word*>(scales() + KvLayer::kPageTokens + chunk * 16 + t * 4);
      out[0] = at[0];
      out[1] = at[1];
    }
  }
};

}  // namespace stepdown::kernels::cuda
