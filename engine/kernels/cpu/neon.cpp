#include "engine/kernels/cpu/instruction_sets.h"

#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)

#include <cstring>

#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "engine/kernels/cpu/operations_of.h"
#include "engine/kernels/cpu/peak_loops_of.h"

namespace stepdown::kernels {
namespace {

// Two registers of four lanes: what one would leave of the dot product's latency, two hide.
struct Neon {
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;  // of 32, as each vector takes two
  // The dot product wants both sides signed: codes of up to 7 bits are, 8-bit ones are taken as signed by
  // turning their top bit.
  static constexpr int kEightBitOffset = 0;
  static bool prefetches_one_row() { return false; }
  struct Bytes {
    uint8x16_t low, high;
  };
  struct Ints {
    int32x4_t low, high;
  };
  struct Floats {
    float32x4_t low, high;
  };

  static Bytes load_bytes(const std::byte* at) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(at);
    return {vld1q_u8(bytes), vld1q_u8(bytes + 16)};
  }
  template <int kShift, int kMask>
  static uint8x16_t field_of(uint8x16_t word) {
    if constexpr (kShift > 0) word = vshrq_n_u8(word, kShift);
    if constexpr (kShift < 0) word = vshlq_n_u8(word, -kShift);
    return vandq_u8(word, vdupq_n_u8(kMask));
  }
  template <int kShift, int kMask>
  static Bytes field(Bytes word) {
    return {field_of<kShift, kMask>(word.low), field_of<kShift, kMask>(word.high)};
  }
  static Bytes either(Bytes a, Bytes b) { return {vorrq_u8(a.low, b.low), vorrq_u8(a.high, b.high)}; }
  static Ints int_zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  template <int kShift>
  static Ints broadcast_shifted(const std::int32_t& value) {
    const int32x4_t all = vdupq_n_s32(value >> kShift);
    return {all, all};
  }
  template <int kBits>
  static Ints dot4(Ints sum, Bytes weight, const std::int8_t* codes) {
    std::int32_t four = 0;
    std::memcpy(&four, codes, sizeof four);
    const int8x16_t other = vreinterpretq_s8_s32(vdupq_n_s32(four));
    if constexpr (kBits == 8) {
      const uint8x16_t sign = vdupq_n_u8(0x80);
      weight = {veorq_u8(weight.low, sign), veorq_u8(weight.high, sign)};
    }
    return {vdotq_s32(sum.low, vreinterpretq_s8_u8(weight.low), other),
            vdotq_s32(sum.high, vreinterpretq_s8_u8(weight.high), other)};
  }
  static Ints add_ints(Ints a, Ints b) { return {vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)}; }
  static Floats to_float(Ints a) { return {vcvtq_f32_s32(a.low), vcvtq_f32_s32(a.high)}; }

  static Floats zero() { return broadcast(0.0f); }
  static Floats broadcast(float value) { return {vdupq_n_f32(value), vdupq_n_f32(value)}; }
  static Floats load(const float* at) { return {vld1q_f32(at), vld1q_f32(at + 4)}; }
  static void store(float* at, Floats a) {
    vst1q_f32(at, a.low);
    vst1q_f32(at + 4, a.high);
  }
  static uint16x8_t load_halves(const std::byte* at) {
    return vreinterpretq_u16_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(at)));
  }
  static Floats from_f16(uint16x8_t halves) {
    const float16x8_t values = vreinterpretq_f16_u16(halves);
    return {vcvt_f32_f16(vget_low_f16(values)), vcvt_high_f32_f16(values)};
  }
  static Floats load_f16(const std::byte* at) { return from_f16(load_halves(at)); }
  static Floats load_bf16(const std::byte* at) {
    const uint16x8_t halves = load_halves(at);
    return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(halves), 16)),
            vreinterpretq_f32_u32(vshll_high_n_u16(halves, 16))};
  }
  static int16x8_t load_wide(const std::byte* at) {
    return vmovl_s8(vld1_s8(reinterpret_cast<const std::int8_t*>(at)));
  }
  static Floats load_i8(const std::byte* at) {
    const int16x8_t wide = load_wide(at);
    return to_float({vmovl_s16(vget_low_s16(wide)), vmovl_high_s16(wide)});
  }
  // E4M3's bits at binary16's places: sign, four of five exponent bits, mantissa.
  static Floats load_f8(const std::byte* at) {
    const uint16x8_t wide = vreinterpretq_u16_s16(load_wide(at));
    return from_f16(vandq_u16(vshlq_n_u16(wide, 7), vdupq_n_u16(0xBF80)));
  }
  static Floats load_i4(const std::byte* at) {
    std::uint32_t four = 0;
    std::memcpy(&four, at, sizeof four);
    const uint8x8_t pairs = vreinterpret_u8_u32(vdup_n_u32(four));
    const uint16x8_t codes = vmovl_u8(vzip1_u8(vand_u8(pairs, vdup_n_u8(15)), vshr_n_u8(pairs, 4)));
    const float32x4_t zero = vdupq_n_f32(kInt4Zero);
    return {vsubq_f32(vcvtq_f32_u32(vmovl_u16(vget_low_u16(codes))), zero),
            vsubq_f32(vcvtq_f32_u32(vmovl_high_u16(codes)), zero)};
  }
  static Floats add(Floats a, Floats b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
  static Floats multiply(Floats a, Floats b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
  static Floats divide(Floats a, Floats b) { return {vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
  static Floats multiply_add(Floats a, Floats b, Floats c) {
    return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
  }
  static Floats maximum(Floats a, Floats b) { return {vmaxq_f32(a.low, b.low), vmaxq_f32(a.high, b.high)}; }
  static float sum(Floats a) {  // in halves: lanes i and i + 4, then i + 2, …
    const float32x4_t four = vaddq_f32(a.low, a.high);
    return vaddv_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)));
  }
  static float largest(Floats a) { return vmaxvq_f32(vmaxq_f32(a.low, a.high)); }

  // As in avx512.h; the power of two goes in by way of the exponent bits, in two halves so that it may be
  // subnormal.
  static float32x4_t exp_of(float32x4_t x) {
    x = vmaxq_f32(vdupq_n_f32(-104.0f), vminq_f32(vdupq_n_f32(90.0f), x));
    const float32x4_t n = vrndnq_f32(vmulq_f32(x, vdupq_n_f32(1.44269504f)));
    float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(0.693359375f));
    r = vfmsq_f32(r, n, vdupq_n_f32(-2.12194440e-4f));
    float32x4_t p = vdupq_n_f32(1.9875691500e-4f);
    p = vfmaq_f32(vdupq_n_f32(1.3981999507e-3f), p, r);
    p = vfmaq_f32(vdupq_n_f32(8.3334519073e-3f), p, r);
    p = vfmaq_f32(vdupq_n_f32(4.1665795894e-2f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.6666665459e-1f), p, r);
    p = vfmaq_f32(vdupq_n_f32(5.0000001201e-1f), p, r);
    p = vfmaq_f32(vaddq_f32(r, vdupq_n_f32(1.0f)), p, vmulq_f32(r, r));
    const int32x4_t whole = vcvtq_s32_f32(n);
    const int32x4_t half = vshrq_n_s32(whole, 1);
    return vmulq_f32(vmulq_f32(p, power_of_two(half)), power_of_two(vsubq_s32(whole, half)));
  }
  static float32x4_t power_of_two(int32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
  }
  static Floats exp(Floats x) { return {exp_of(x.low), exp_of(x.high)}; }

  static std::uint32_t max_magnitude_bits(const float* x) {
    uint32x4_t largest = vdupq_n_u32(0);
    for (int i = 0; i < kBlock; i += 4) {
      const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(x + i));
      largest = vmaxq_u32(largest, vandq_u32(bits, vdupq_n_u32(0x7fffffff)));
    }
    return vmaxvq_u32(largest);
  }
  static void round_block(const float* x, float inverse, std::int8_t* codes, int& low, int& high) {
    for (int i = 0; i < kBlock; i += 8) {
      const int32x4_t first = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i), inverse));
      const int32x4_t last = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i + 4), inverse));
      vst1_s8(codes + i, vqmovn_s16(vcombine_s16(vqmovn_s32(first), vqmovn_s32(last))));
      (i < kBlock / 2 ? low : high) += vaddvq_s32(vaddq_s32(first, last));
    }
  }
};

bool supported() {
  return (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

}  // namespace

const Operations* neon_operations() {
  static constexpr Operations kRow = operations_of<Neon>("neon", supported);
  return &kRow;
}
const PeakLoops* neon_peak_loops() {
  static constexpr PeakLoops kLoops = peak_loops_of<Neon>();
  return &kLoops;
}

}  // namespace stepdown::kernels

#else

namespace stepdown::kernels {
const Operations* neon_operations() {
  return nullptr;
}
const PeakLoops* neon_peak_loops() {
  return nullptr;
}
}  // namespace stepdown::kernels

#endif
