#pragma once

#include <cstdint>
#include <cstring>

// Four floats at once, by whatever instructions every processor of the kind has.
namespace stepdown::model {

inline constexpr std::int64_t kLanes = 4;
using Lanes [[gnu::vector_size(16)]] = float;

inline Lanes load_lanes(const float* at) {
  Lanes lanes;
  std::memcpy(&lanes, at, sizeof lanes);
  return lanes;
}

inline void store_lanes(float* at, const Lanes& lanes) {
  std::memcpy(at, &lanes, sizeof lanes);
}

}  // namespace stepdown::model
