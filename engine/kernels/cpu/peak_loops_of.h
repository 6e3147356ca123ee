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
constexpr PeakLoops peak_loops_of() {
  return {int8_peak<V>, float32_peak<V>, nullptr};
}

}  // namespace stepdown::kernels
