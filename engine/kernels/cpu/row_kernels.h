#pragma once

#include <algorithm>
#include <bit>

#include "engine/kernels/operations.h"

// Kernels over one row of floats, for any vector type V; see tile_kernels.h.
namespace stepdown::kernels {

// Calls step(index, lanes) over whole vectors, then once with what is left.
template <class V, class Step>
void each_vector(std::int64_t count, const Step& step) {
  std::int64_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) step(i, V::kLanes);
  if (i < count) step(i, static_cast<int>(count - i));
}

// A vector's worth of values whose lanes beyond `lanes` are `fill`.
template <class V>
typename V::Floats load_some(const float* at, int lanes, float fill) {
  if (lanes == V::kLanes) return V::load(at);
  float values[V::kLanes];
  for (int i = 0; i < V::kLanes; ++i) values[i] = i < lanes ? at[i] : fill;
  return V::load(values);
}

template <class V>
void store_some(float* at, int lanes, typename V::Floats vector) {
  if (lanes == V::kLanes) return V::store(at, vector);
  float values[V::kLanes];
  V::store(values, vector);
  for (int i = 0; i < lanes; ++i) at[i] = values[i];
}

// Sums over a row as sixteen lanes make them, however many a vector has: lane i takes elements i, i + 16, …,
// and the lanes are then folded in halves, so that every instruction set gives the same bits.
inline constexpr int kSumLanes = 16;

template <class V>
struct LaneSums {
  static constexpr int kParts = kSumLanes / V::kLanes;
  typename V::Floats part[kParts];

  LaneSums() {
    for (auto& lanes : part) lanes = V::zero();
  }
  float total() const {
    if constexpr (kParts == 1) return V::sum(part[0]);
    if constexpr (kParts == 2) return V::sum(V::add(part[0], part[1]));
  }
};

// Calls step(index, lanes, part of the sums) as each_vector calls step(index, lanes).
template <class V, class Step>
void each_summed(std::int64_t count, const Step& step) {
  constexpr int kParts = LaneSums<V>::kParts;
  std::int64_t i = 0;
  for (; i + kSumLanes <= count; i += kSumLanes) {
    for (int part = 0; part < kParts; ++part) step(i + part * V::kLanes, V::kLanes, part);
  }
  for (int part = 0; i < count; ++part, i += V::kLanes)
    step(i, static_cast<int>(std::min<std::int64_t>(V::kLanes, count - i)), part);
}

template <class V>
void encode_row(const float* row, std::int64_t count, std::int8_t* codes, BlockScale* scales,
                BlockSums* sums) {
  constexpr std::uint32_t kInfinity = 0x7f800000u;
  for (std::int64_t i = 0; i < count; i += kBlock, row += kBlock, codes += kBlock, ++scales, ++sums) {
    const std::uint32_t magnitude = V::max_magnitude_bits(row);
    const float largest = std::bit_cast<float>(magnitude);
    const bool finite = magnitude < kInfinity;
    const bool tiny = largest < 1e-30f;  // 127 / largest would overflow
    int low = 0;
    int high = 0;
    V::round_block(row, finite && !tiny ? 127.0f / largest : 0.0f, codes, low, high);
    if (!finite) {
      for (int k = 0; k < kBlock; ++k) codes[k] = 0;
      low = high = 0;
    }
    const float scale = finite ? (tiny ? 0.0f : largest / 127.0f) : std::bit_cast<float>(0x7fc00000u);
    *scales = {scale, scale * static_cast<float>(low + high)};
    *sums = {-kStartOffset * (low + high), -kStartOffset * low, -kStartOffset * high,
             scale * static_cast<float>(low), scale * static_cast<float>(high)};
  }
}

template <class V>
void rms_norm(const float* row, const float* weight, float epsilon, std::int64_t count, float* out) {
  LaneSums<V> squares;
  each_summed<V>(count, [&](std::int64_t i, int lanes, int part) {
    const auto x = load_some<V>(row + i, lanes, 0.0f);
    squares.part[part] = V::multiply_add(x, x, squares.part[part]);
  });
  const float mean = squares.total() / static_cast<float>(count);
  const auto inverse = V::broadcast(1.0f / __builtin_sqrtf(mean + epsilon));
  each_vector<V>(count, [&](std::int64_t i, int lanes) {
    const auto x = V::multiply(load_some<V>(row + i, lanes, 0.0f), inverse);
    store_some<V>(out + i, lanes, V::multiply(x, load_some<V>(weight + i, lanes, 0.0f)));
  });
}

template <class V>
void silu_multiply(float* gate, const float* up, std::int64_t count) {
  each_vector<V>(count, [&](std::int64_t i, int lanes) {
    const auto x = load_some<V>(gate + i, lanes, 0.0f);
    const auto denominator = V::add(V::broadcast(1.0f), V::exp(V::multiply(x, V::broadcast(-1.0f))));
    const auto silu = V::divide(x, denominator);
    store_some<V>(gate + i, lanes, V::multiply(silu, load_some<V>(up + i, lanes, 0.0f)));
  });
}

// 0.5·x·(1 + tanh(u)) = x / (1 + exp(−2u)), u = √(2/π)·(x + 0.044715·x³).
template <class V>
void gelu_multiply(float* gate, const float* up, std::int64_t count) {
  constexpr float kMinusTwice = -1.5957691216f;
  each_vector<V>(count, [&](std::int64_t i, int lanes) {
    const auto x = load_some<V>(gate + i, lanes, 0.0f);
    const auto cube = V::multiply(V::multiply(x, x), V::multiply(x, V::broadcast(0.044715f)));
    const auto exponent = V::multiply(V::add(x, cube), V::broadcast(kMinusTwice));
    const auto gelu = V::divide(x, V::add(V::broadcast(1.0f), V::exp(exponent)));
    store_some<V>(gate + i, lanes, V::multiply(gelu, load_some<V>(up + i, lanes, 0.0f)));
  });
}

template <class V>
float largest_of(const float* row, std::int64_t count) {
  auto largest = V::broadcast(row[0]);
  each_vector<V>(count, [&](std::int64_t i, int lanes) {
    largest = V::maximum(largest, load_some<V>(row + i, lanes, row[0]));
  });
  return V::largest(largest);
}

template <class V>
void softmax(float* row, std::int64_t count) {
  const auto maximum = V::broadcast(-largest_of<V>(row, count));
  LaneSums<V> total;
  each_summed<V>(count, [&](std::int64_t i, int lanes, int part) {
    const auto weight = V::exp(V::add(load_some<V>(row + i, lanes, -1e30f), maximum));
    store_some<V>(row + i, lanes, weight);
    total.part[part] = V::add(total.part[part], weight);
  });
  const auto inverse = V::broadcast(1.0f / total.total());
  each_vector<V>(count, [&](std::int64_t i, int lanes) {
    store_some<V>(row + i, lanes, V::multiply(load_some<V>(row + i, lanes, 0.0f), inverse));
  });
}

template <class V>
Distribution summarize(const float* logits, std::int64_t count) {
  // x·0 is NaN for NaN and both infinities, so one sum tells whether all are finite.
  auto largest = V::broadcast(logits[0]);
  auto zeros = V::zero();
  each_vector<V>(count, [&](std::int64_t i, int lanes) {
    const auto x = load_some<V>(logits + i, lanes, logits[0]);
    largest = V::maximum(largest, x);
    zeros = V::multiply_add(x, V::zero(), zeros);
  });
  const float maximum = V::largest(largest);
  const bool finite = V::sum(zeros) == 0.0f;
  const auto shift = V::broadcast(-maximum);
  LaneSums<V> total;
  LaneSums<V> weighted;
  each_summed<V>(count, [&](std::int64_t i, int lanes, int part) {
    const auto x = V::add(load_some<V>(logits + i, lanes, -1e30f), shift);  // the filler weighs nothing
    const auto weight = V::exp(x);
    total.part[part] = V::add(total.part[part], weight);
    weighted.part[part] = V::multiply_add(weight, x, weighted.part[part]);
  });
  const float sum = total.total();
  const float log_sum = __builtin_logf(sum);
  return {finite, maximum, maximum + log_sum, log_sum - weighted.total() / sum};
}

}  // namespace stepdown::kernels
