#pragma once

#include <array>
#include <cstddef>

#include "engine/kernels/peak_loops.h"

// Peak loops for any vector type V; see tile_kernels.h.
namespace stepdown::kernels {

inline constexpr int kPeakChains =
    12;  // independent sums: enough to hide the latency, few enough for registers

// Keeps what a loop computes.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

template <class V>
std::int64_t int8_peak(std::int64_t rounds) {
  const std::array<std::byte, 64> weights{std::byte{3}};
  const std::array<std::int8_t, 4> codes{1, 2, 3, 4};
  const auto weight = V::load_bytes(weights.data());
  typename V::Ints sum[kPeakChains];
  for (auto& each : sum) each = V::int_zero();
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (auto& each : sum) each = V::template dot4<4>(each, weight, codes.data());
  }
  for (const auto& each : sum) keep(each);
  return rounds * kPeakChains * V::kLanes * 4 * 2;
}

template <class V>
std::int64_t float32_peak(std::int64_t rounds) {
  const auto factor = V::broadcast(0.5f);
  typename V::Floats sum[kPeakChains];
  for (auto& each : sum) each = V::zero();
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (auto& each : sum) each = V::multiply_add(each, factor, factor);
  }
  for (const auto& each : sum) keep(each);
  return rounds * kPeakChains * V::kLanes * 2;
}

template <class V>
void read_peak(const std::byte* from, std::int64_t bytes) {
  constexpr std::int64_t kChains = 4;
  constexpr std::int64_t kBytes = sizeof(typename V::Bytes);
  typename V::Bytes seen[kChains];
  for (auto& each : seen) each = V::load_bytes(from);
  for (std::int64_t at = 0; at < bytes; at += kChains * kBytes) {
    for (std::int64_t i = 0; i < kChains; ++i)
      seen[i] = V::either(seen[i], V::load_bytes(from + at + i * kBytes));
  }
  for (const auto& each : seen) keep(each);
}

template <class V>
constexpr PeakLoops peak_loops_of() {
  return {int8_peak<V>, float32_peak<V>, nullptr, read_peak<V>};
}

}  // namespace stepdown::kernels
