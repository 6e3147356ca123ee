#pragma once

#include "engine/kernels/blocks.h"
#include "engine/quant/lanes/searches.h"
#include "engine/quant/lanes/vector_of.h"

namespace stepdown::quant {

/// What lies halfway between an IQ4 level and the next, and how far they are apart: exact in floats.
struct LevelSteps {
  static constexpr std::size_t kCount = kernels::kIq4Levels.size() - 1;
  std::array<float, kCount> middles = {}, apart = {};
  constexpr LevelSteps() {
    for (std::size_t i = 0; i < kCount; ++i) {
      const auto level = static_cast<float>(kernels::kIq4Levels[i]);
      const auto next = static_cast<float>(kernels::kIq4Levels[i + 1]);
      middles[i] = (level + next) / 2.0f;
      apart[i] = next - level;
    }
  }
};
inline constexpr LevelSteps kLevelSteps;

template <std::size_t Width>
void fit_levels(std::span<const float, 32> group, std::span<const float, 32> counts, LevelFits& fits) {
  using V = VectorOf<Width>;
  for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width) {
    const auto inverse = V::load(fits.inverse, first);
    typename V::Floats xq = {}, qq = {};
    for (std::size_t i = 0; i < group.size(); ++i) {
      const auto value = inverse * group[i];
      auto level = V::all(static_cast<float>(kernels::kIq4Levels[0]));
      for (std::size_t step = 0; step < LevelSteps::kCount; ++step)
        level += value >= kLevelSteps.middles[step] ? V::all(kLevelSteps.apart[step]) : V::all(0.0f);
      const auto weighted = counts[i] * level;
      xq += weighted * group[i];
      qq += weighted * level;
    }
    V::store(xq, fits.xq, first);
    V::store(qq, fits.qq, first);
  }
}

template <std::size_t Width>
std::array<std::uint8_t, 32> nearest_levels(std::span<const float, 32> group, float inverse) {
  using V = VectorOf<Width>;
  std::array<std::uint8_t, 32> codes;
  for (std::size_t first = 0; first < group.size(); first += Width) {
    const auto value = inverse * V::load(group.data() + first);
    typename V::Integers below = {};
    for (const float middle : kLevelSteps.middles) below -= value >= middle;  // true is −1
    for (std::size_t lane = 0; lane < Width; ++lane)
      codes[first + lane] = static_cast<std::uint8_t>(below[lane]);
  }
  return codes;
}

}  // namespace stepdown::quant
