#include "engine/base/halves.h"

#include <array>
#include <bit>
#include <cstddef>

#include <gtest/gtest.h>

#include "engine/base/half.h"

namespace stepdown {
namespace {

// Every exponent and sign, NaN and infinity among them, with mantissas about every rounding.
TEST(Halves, AreWhatOneByOneGives) {
  std::array<float, kHalvesTogether> values;
  std::array<std::uint16_t, kHalvesTogether> halves;
  for (std::uint32_t top = 0; top < 1u << 19; ++top) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      constexpr std::array<std::uint32_t, kHalvesTogether> kLow = {0,      1,      0xfff,  0x1000,
                                                                   0x1001, 0x1ffe, 0x1fff, 0x800};
      values[i] = std::bit_cast<float>(top << 13 | kLow[i]);
    }
    to_halves(values.data(), halves.data());
    for (std::size_t i = 0; i < values.size(); ++i)
      ASSERT_EQ(halves[i], f32_to_f16(values[i])) << std::hex << std::bit_cast<std::uint32_t>(values[i]);
  }
}

}  // namespace
}  // namespace stepdown
