#include "engine/quant/lanes/searches.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/half.h"

namespace stepdown::quant {
namespace {

/// Groups as weights are and as they should not be: normal, all alike, of one sign, tiny, one lonely weight.
GroupLanes random_groups(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 draw(seed);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  GroupLanes groups;
  groups.size = size;
  for (std::size_t g = 0; g + 1 < GroupLanes::kGroups; ++g) {  // the last lane has no group
    for (std::size_t i = 0; i < size; ++i) {
      float x = normal(draw);
      if (g == 1) x = 0.25f;
      if (g == 2) x = -0.25f;
      if (g == 3) x = std::fabs(x);
      if (g == 4) x = -std::fabs(x);
      if (g == 5) x *= 1e-12f;
      if (g == 6) x *= 1e-40f;
      if (g == 7) x = i == 3 ? 1.0f : 0.0f;
      if (g == 8) x *= 1e6f;
      groups.values[i][g] = x;
      groups.counts[i][g] = std::fabs(normal(draw)) + (g == 9 ? 0.0f : 1e-3f);
    }
  }
  return groups;
}

bool same(const GroupLanes::Lanes& left, const GroupLanes::Lanes& right) {
  return std::memcmp(&left, &right, sizeof left) == 0;
}
bool same(const GroupLanes& left, const GroupLanes& right) {
  return std::memcmp(&left.codes, &right.codes, sizeof left.codes) == 0 &&
         std::memcmp(&left.counts, &right.counts, sizeof left.counts) == 0;
}

/// Of one block alone, and of as many as take turns and one more.
void expect_same_descents(const Searches& wide, const GroupLanes& first, int half) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{5}}) {
    std::vector<GroupLanes> ours;
    for (std::size_t b = 0; b < count; ++b)
      ours.push_back(b == 0 ? first : random_groups(first.size, 100 + b));
    std::vector<GroupLanes> expected = ours;
    std::vector<Scales> scales(count), wanted(count);
    wide.descent(ours, half, scales);
    for (std::size_t b = 0; b < count; ++b)
      plain_searches()->descent(std::span(expected).subspan(b, 1), half, std::span(wanted).subspan(b, 1));
    for (std::size_t b = 0; b < count; ++b)
      EXPECT_TRUE(same(scales[b], wanted[b]) && same(ours[b], expected[b])) << count << " blocks, " << b;
  }
}

void expect_same(const PlainBlocks& ours, const PlainBlocks& wanted, std::size_t blocks) {
  EXPECT_TRUE(std::equal(ours.codes.begin(), ours.codes.begin() + 32 * static_cast<std::ptrdiff_t>(blocks),
                         wanted.codes.begin()));
  for (std::size_t b = 0; b < blocks; ++b) {
    EXPECT_EQ(ours.scale[b], wanted.scale[b]) << b;
    EXPECT_EQ(ours.minimum[b], wanted.minimum[b]) << b;
  }
}

/// Groups as blocks without a search, as many as one call takes and fewer.
void expect_same_blocks(const Searches& wide, const GroupLanes& groups) {
  std::vector<float> blocks;
  for (std::size_t g = 0; g < GroupLanes::kGroups; ++g) {
    for (std::size_t i = 0; i < 32; ++i) blocks.push_back(groups.values[i % groups.size][g]);
  }
  const Searches& plain = *plain_searches();
  for (const std::size_t count : {3, 16}) {
    const auto part = std::span(blocks).first(count * 32);
    PlainBlocks ours = {}, wanted = {};
    wide.plain_symmetric(part, 8, ours);
    plain.plain_symmetric(part, 8, wanted);
    expect_same(ours, wanted, count);
    wide.plain_with_minimum(part, 31, ours);
    plain.plain_with_minimum(part, 31, wanted);
    expect_same(ours, wanted, count);
    wide.plain_bytes(part, ours);
    plain.plain_bytes(part, wanted);
    expect_same(ours, wanted, count);
  }
}

class EverySearch : public testing::TestWithParam<const Searches*> {
 protected:
  void SetUp() override {
    if (!GetParam()->supported()) GTEST_SKIP() << "this processor has no " << GetParam()->name;
  }
};

// Scales differ in no bit, so that files do not depend on the machine they were made on.
TEST_P(EverySearch, GivesTheBitsOfThePlainOne) {
  const Searches& wide = *GetParam();
  const Searches& plain = *plain_searches();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::size_t size = seed % 2 == 0 ? 16 : 32;
    const GroupLanes given = random_groups(size, seed);
    GroupLanes ours = given, expected = given;
    for (const MinimumSearch& search :
         {MinimumSearch{3, -0.5f, 15, true}, MinimumSearch{15, -1.0f, 20}, weighted_search(31)}) {
      const Grids grids = wide.with_minimum(ours, search);
      const Grids wanted = plain.with_minimum(expected, search);
      EXPECT_TRUE(same(grids.scale, wanted.scale) && same(grids.minimum, wanted.minimum)) << seed;
      EXPECT_TRUE(same(ours, expected)) << seed;
      wide.round_with_minimum(ours, wanted, search.max_code);
      plain.round_with_minimum(expected, wanted, search.max_code);
      EXPECT_TRUE(same(ours, expected)) << seed;
    }
    for (const int half : {4, 16, 32}) {
      const Scales scales = wide.symmetric(ours, half);
      EXPECT_TRUE(same(scales, plain.symmetric(expected, half))) << seed;
      EXPECT_TRUE(same(ours, expected)) << seed;
      expect_same_descents(wide, given, half);
      EXPECT_TRUE(same(ours, expected)) << seed;
      wide.round_symmetric(ours, scales, half);
      plain.round_symmetric(expected, scales, half);
      EXPECT_TRUE(same(ours, expected)) << seed;
    }
    for (const bool with_rms : {false, true}) {
      wide.count_by_magnitude(ours, with_rms);
      plain.count_by_magnitude(expected, with_rms);
      EXPECT_TRUE(same(ours, expected)) << seed;
    }
    wide.count_by_square(ours);
    plain.count_by_square(expected);
    EXPECT_TRUE(same(ours, expected)) << seed;
    std::array<float, 32> group, counts;
    for (std::size_t i = 0; i < 32; ++i) {
      group[i] = given.values[i % size][i / 16];
      counts[i] = given.counts[i % size][i / 16];
    }
    LevelFits fits, wanted;
    for (std::size_t lane = 0; lane < GroupLanes::kGroups; ++lane)
      fits.inverse[lane] = wanted.inverse[lane] = 3000.0f + 100.0f * static_cast<float>(lane);
    wide.fit_levels(group, counts, fits);
    plain.fit_levels(group, counts, wanted);
    EXPECT_TRUE(same(fits.xq, wanted.xq) && same(fits.qq, wanted.qq)) << seed;
    EXPECT_EQ(wide.nearest_levels(group, 4000.0f), plain.nearest_levels(group, 4000.0f));
    expect_same_blocks(wide, given);
  }
}

TEST_P(EverySearch, BytesRoundHalvesAwayFromZero) {
  std::array<float, 32> block = {127.0f, 0.5f,  -0.5f,  0.49999997f, -0.49999997f, 1.5f,
                                 2.5f,   -2.5f, 126.5f, -126.5f,     -0.0f};
  PlainBlocks plain;
  GetParam()->plain_bytes(block, plain);
  EXPECT_EQ(plain.scale[0], f32_to_f16(1.0f));
  const std::array<int, 11> expected = {127, 1, -1, 0, 0, 2, 3, -3, 127, -127, 0};
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(static_cast<std::int8_t>(plain.codes[i]), expected[i]) << block[i];
}

TEST_P(EverySearch, HalvesBecomeTheFloatsThatTheyAre) {
  std::vector<std::uint16_t> halves;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7c00) != 0x7c00) halves.push_back(static_cast<std::uint16_t>(bits));
  }
  halves.pop_back();  // so that the last ones fill no register
  std::vector<float> floats(halves.size());
  EXPECT_TRUE(GetParam()->widen_f16(std::as_bytes(std::span(halves)), floats));
  for (std::size_t i = 0; i < halves.size(); ++i)
    ASSERT_EQ(std::bit_cast<std::uint32_t>(floats[i]), std::bit_cast<std::uint32_t>(f16_to_f32(halves[i])))
        << halves[i];
  for (const std::uint16_t bits : {0x7c00, 0xfc00, 0x7c01, 0x7e00, 0xffff}) {
    halves[3] = bits;
    EXPECT_FALSE(GetParam()->widen_f16(std::as_bytes(std::span(halves)), floats)) << bits;
  }
}

TEST_P(EverySearch, MinimaTakeTheFirstOfEqualZeros) {
  std::array<float, 32> block = {};
  block.fill(2.0f);
  block[7] = -0.0f;
  block[20] = 0.0f;
  block[30] = 15.0f;
  PlainBlocks plain;
  GetParam()->plain_with_minimum(block, 15, plain);
  EXPECT_EQ(plain.minimum[0], f32_to_f16(-0.0f));
  EXPECT_EQ(plain.scale[0], f32_to_f16(1.0f));
  EXPECT_EQ(plain.codes[7], 0);
  EXPECT_EQ(plain.codes[8], 2);
  EXPECT_EQ(plain.codes[30], 15);
}

TEST_P(EverySearch, ScalesTakeTheFirstOfEqualMagnitudes) {
  std::array<float, 96> blocks = {};  // the last is all zeros
  blocks[3] = 8.0f;
  blocks[9] = -8.0f;
  blocks[32] = -8.0f;
  blocks[60] = 8.0f;
  blocks[64] = -0.0f;
  PlainBlocks plain;
  GetParam()->plain_symmetric(blocks, 8, plain);
  EXPECT_EQ(plain.scale[0], f32_to_f16(-1.0f));
  EXPECT_EQ(plain.codes[3], 0);
  EXPECT_EQ(plain.codes[9], 15);  // 16 is cut off
  EXPECT_EQ(plain.scale[1], f32_to_f16(1.0f));
  EXPECT_EQ(plain.codes[32], 0);
  EXPECT_EQ(plain.codes[60], 15);
  EXPECT_EQ(plain.scale[2], f32_to_f16(-0.0f));
  EXPECT_EQ(plain.codes[64], 8);
}

TEST_P(EverySearch, ConstantGroupsHaveNoScale) {
  GroupLanes groups = random_groups(32, 1);
  const Grids grids = GetParam()->with_minimum(groups, {15, -1.0f, 20});
  EXPECT_EQ(grids.scale[2], 0.0f);
  EXPECT_EQ(grids.minimum[2], 0.25f);
  EXPECT_NEAR(grids.scale[1] * groups.codes[0][1], 0.25f, 1e-6f);
}

INSTANTIATE_TEST_SUITE_P(OfThisMachine, EverySearch,
                         testing::ValuesIn(all_searches().begin(), all_searches().end()),
                         [](const auto& test) { return std::string(test.param->name); });

}  // namespace
}  // namespace stepdown::quant
