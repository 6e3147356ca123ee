#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace stepdown::gateway {

using WallTime = std::chrono::system_clock::time_point;

inline std::int64_t to_ms(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

/// Any number that a peer or a file gives; times that nanoseconds since 1970 cannot hold come as the nearest.
inline WallTime from_ms(std::int64_t ms) {
  constexpr std::int64_t kLatest =
      std::chrono::duration_cast<std::chrono::milliseconds>(WallTime::duration::max()).count();
  return WallTime(std::chrono::milliseconds(std::clamp(ms, -kLatest, kLatest)));
}

}  // namespace stepdown::gateway
