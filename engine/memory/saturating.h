#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>

/// Sums and products of lengths that a lying header may state: "too much" instead of nonsense.
namespace stepdown::memory {

inline constexpr std::int64_t kTooMuch = std::numeric_limits<std::int64_t>::max();

inline std::int64_t product(std::initializer_list<std::int64_t> factors) {
  std::int64_t result = 1;
  for (const std::int64_t factor : factors) {
    if (__builtin_mul_overflow(result, factor, &result)) return kTooMuch;
  }
  return result;
}

inline std::int64_t sum(std::initializer_list<std::int64_t> terms) {
  std::int64_t result = 0;
  for (const std::int64_t term : terms) {
    if (__builtin_add_overflow(result, term, &result)) return kTooMuch;
  }
  return result;
}

}  // namespace stepdown::memory
