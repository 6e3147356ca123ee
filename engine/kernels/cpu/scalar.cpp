#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "engine/base/half.h"
#include "engine/kernels/cpu/instruction_sets.h"
#include "engine/kernels/cpu/operations_of.h"
#include "engine/kernels/cpu/peak_loops_of.h"

namespace stepdown::kernels {
namespace {

// Sixteen lanes as plain loops: what a compiler can make of them on any processor.
struct Scalar {
  static constexpr int kLanes = 16;
  static constexpr int kRegisters = 16;
  static constexpr int kEightBitOffset = 128;
  static bool prefetches_one_row() { return false; }
  using Bytes = std::array<std::uint8_t, 64>;
  using Ints = std::array<std::int32_t, 16>;
  using Floats = std::array<float, 16>;

  template <class Make>
  static Floats each(const Make& make) {
    Floats out;
    for (std::size_t i = 0; i < 16; ++i) out[i] = make(i);
    return out;
  }

  static Bytes load_bytes(const std::byte* at) {
    Bytes out;
    std::memcpy(out.data(), at, sizeof out);
    return out;
  }
  template <int kShift, int kMask>
  static Bytes field(const Bytes& word) {
    Bytes out;
    for (std::size_t i = 0; i < 64; ++i) {
      out[i] = static_cast<std::uint8_t>(
          (kShift >= 0 ? word[i] >> std::max(kShift, 0) : word[i] << std::max(-kShift, 0)) & kMask);
    }
    return out;
  }
  static Bytes either(Bytes a, const Bytes& b) {
    for (std::size_t i = 0; i < 64; ++i) a[i] |= b[i];
    return a;
  }
  static Ints int_zero() { return {}; }
  template <int kShift>
  static Ints broadcast_shifted(const std::int32_t& value) {
    Ints out;
    out.fill(value >> kShift);
    return out;
  }
  template <int kBits>
  static Ints dot4(Ints sum, const Bytes& weight, const std::int8_t* codes) {
    for (std::size_t i = 0; i < 64; ++i) sum[i / 4] += weight[i] * codes[i % 4];
    return sum;
  }
  static Ints add_ints(Ints a, const Ints& b) {
    for (std::size_t i = 0; i < 16; ++i) a[i] += b[i];
    return a;
  }
  static Floats to_float(const Ints& a) {
    return each([&](std::size_t i) { return static_cast<float>(a[i]); });
  }

  static Floats zero() { return {}; }
  static Floats broadcast(float value) {
    return each([&](std::size_t) { return value; });
  }
  static Floats load(const float* at) {
    return each([&](std::size_t i) { return at[i]; });
  }
  static void store(float* at, const Floats& a) { std::memcpy(at, a.data(), sizeof a); }
  static Floats load_f16(const std::byte* at) {
    std::array<std::uint16_t, 16> bits;
    std::memcpy(bits.data(), at, sizeof bits);
    return each([&](std::size_t i) { return f16_to_f32(bits[i]); });
  }
  static Floats load_bf16(const std::byte* at) {
    std::array<std::uint16_t, 16> bits;
    std::memcpy(bits.data(), at, sizeof bits);
    return each([&](std::size_t i) { return bf16_to_f32(bits[i]); });
  }
  static Floats load_i8(const std::byte* at) {
    return each([&](std::size_t i) { return static_cast<float>(static_cast<std::int8_t>(at[i])); });
  }
  // E4M3's bits at binary16's places: sign, four of five exponent bits, mantissa.
  static Floats load_f8(const std::byte* at) {
    return each([&](std::size_t i) {
      const auto bits = static_cast<unsigned>(at[i]);
      return f16_to_f32(static_cast<std::uint16_t>((bits & 0x80u) << 8 | (bits & 0x7fu) << 7));
    });
  }
  static Floats load_i4(const std::byte* at) {
    return each([&](std::size_t i) {
      const auto pair = static_cast<unsigned>(at[i / 2]);
      return static_cast<float>(i % 2 == 0 ? pair & 15u : pair >> 4) - kInt4Zero;
    });
  }
  static Floats add(const Floats& a, const Floats& b) {
    return each([&](std::size_t i) { return a[i] + b[i]; });
  }
  static Floats multiply(const Floats& a, const Floats& b) {
    return each([&](std::size_t i) { return a[i] * b[i]; });
  }
  static Floats divide(const Floats& a, const Floats& b) {
    return each([&](std::size_t i) { return a[i] / b[i]; });
  }
  static Floats multiply_add(const Floats& a, const Floats& b, const Floats& c) {
    return each([&](std::size_t i) { return a[i] * b[i] + c[i]; });
  }
  static Floats maximum(const Floats& a, const Floats& b) {
    return each([&](std::size_t i) { return a[i] > b[i] ? a[i] : b[i]; });
  }
  static Floats exp(const Floats& a) {
    return each([&](std::size_t i) { return std::exp(a[i]); });
  }
  static float sum(Floats a) {  // in halves: lanes i and i + 8, then i + 4, …
    for (std::size_t half = 8; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) a[i] += a[i + half];
    }
    return a[0];
  }
  static float largest(const Floats& a) { return *std::max_element(a.begin(), a.end()); }

  static std::uint32_t max_magnitude_bits(const float* x) {
    std::uint32_t largest = 0;
    for (int i = 0; i < kBlock; ++i)
      largest = std::max(largest, std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffu);
    return largest;
  }
  static void round_block(const float* x, float inverse, std::int8_t* codes, int& low, int& high) {
    for (int i = 0; i < kBlock; ++i) {
      const float scaled = std::nearbyint(x[i] * inverse);
      codes[i] =
          static_cast<std::int8_t>(std::abs(scaled) <= 127.0f ? scaled : 0.0f);  // NaN: cleared by the caller
      (i < kBlock / 2 ? low : high) += codes[i];
    }
  }
};

}  // namespace

const Operations* scalar_operations() {
  static constexpr Operations kRow = operations_of<Scalar>("scalar", [] { return true; });
  return &kRow;
}
const PeakLoops* scalar_peak_loops() {
  static constexpr PeakLoops kLoops = peak_loops_of<Scalar>();
  return &kLoops;
}

}  // namespace stepdown::kernels
