#include "engine/model/rotation.h"

#include <cmath>

#include "engine/model/lanes.h"

namespace stepdown::model {
namespace {

// Of four neighbours.
void mix_within(float* at) {
  constexpr Lanes kNear = {1.0f, -1.0f, 1.0f, -1.0f};
  constexpr Lanes kFar = {1.0f, 1.0f, -1.0f, -1.0f};
  const Lanes x = load_lanes(at);
  const Lanes pairs = __builtin_shufflevector(x, x, 1, 0, 3, 2) + x * kNear;
  store_lanes(at, __builtin_shufflevector(pairs, pairs, 2, 3, 0, 1) + pairs * kFar);
}

void mix_two(float* at, std::int64_t step) {
  const Lanes a = load_lanes(at);
  const Lanes b = load_lanes(at + step);
  store_lanes(at, a + b);
  store_lanes(at + step, a - b);
}

// Two steps at once, so that each number is loaded half as often.
void mix_four(float* at, std::int64_t step) {
  const Lanes a = load_lanes(at);
  const Lanes b = load_lanes(at + step);
  const Lanes c = load_lanes(at + 2 * step);
  const Lanes d = load_lanes(at + 3 * step);
  const Lanes sum = a + b;
  const Lanes difference = a - b;
  const Lanes next_sum = c + d;
  const Lanes next_difference = c - d;
  store_lanes(at, sum + next_sum);
  store_lanes(at + step, difference + next_difference);
  store_lanes(at + 2 * step, sum - next_sum);
  store_lanes(at + 3 * step, difference - next_difference);
}

// At least four numbers.
void rotate_block(float* at, std::int64_t block) {
  for (std::int64_t i = 0; i < block; i += kLanes) mix_within(at + i);
  std::int64_t step = kLanes;
  for (; 4 * step <= block; step *= 4) {
    for (std::int64_t first = 0; first < block; first += 4 * step) {
      for (std::int64_t i = first; i < first + step; i += kLanes) mix_four(at + i, step);
    }
  }
  for (std::int64_t i = 0; step < block && i < step; i += kLanes) mix_two(at + i, step);
  const float factor = 1.0f / std::sqrt(static_cast<float>(block));
  for (std::int64_t i = 0; i < block; i += kLanes) store_lanes(at + i, load_lanes(at + i) * factor);
}

void rotate_pair(float* at) {
  const float factor = 1.0f / std::sqrt(2.0f);
  const float sum = at[0] + at[1];
  const float difference = at[0] - at[1];
  at[0] = sum * factor;
  at[1] = difference * factor;
}

}  // namespace

void rotate_head(float* head, std::int64_t width) {
  const std::int64_t block = width & -width;
  for (std::int64_t first = 0; first < width; first += block) {
    if (block >= kLanes) {
      rotate_block(head + first, block);
    } else if (block == 2) {
      rotate_pair(head + first);
    }
  }
}

}  // namespace stepdown::model
