#include "engine/formats/lazy_tensors.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/system_facts.h"
#include "engine/formats/release_pages.h"

namespace stepdown::formats {
namespace {

LazyTensors::Fill filled_with(int value) {
  return [value](std::span<std::byte> out) { std::ranges::fill(out, static_cast<std::byte>(value)); };
}

bool all_are(std::span<const std::byte> bytes, int value) {
  return std::ranges::all_of(bytes, [&](std::byte byte) { return std::to_integer<int>(byte) == value; });
}

TEST(LazyTensors, MakeThePartsThatAreAskedFor) {
  LazyTensors lazy;
  std::vector<int> made(3);
  std::vector<LazyTensors::Fill> parts;
  for (int part = 0; part < 3; ++part) {
    parts.emplace_back([&made, part](std::span<std::byte> out) {
      ++made[static_cast<std::size_t>(part)];
      std::ranges::fill(out, static_cast<std::byte>(part + 1));
    });
  }
  constexpr std::size_t kPart = 10'000;  // no whole pages
  const auto whole = lazy.add(kPart, parts);
  const auto other = lazy.add(16, {filled_with(9)});
  ASSERT_EQ(whole.size(), 3 * kPart);
  EXPECT_EQ(made, (std::vector<int>{0, 0, 0}));
  lazy.prepare(whole.subspan(kPart, kPart));
  EXPECT_EQ(made, (std::vector<int>{0, 1, 0}));
  EXPECT_TRUE(all_are(whole.subspan(kPart, kPart), 2));
  lazy.prepare(whole);
  EXPECT_EQ(made, (std::vector<int>{1, 2, 1}));
  for (int part = 0; part < 3; ++part)
    EXPECT_TRUE(all_are(whole.subspan(static_cast<std::size_t>(part) * kPart, kPart), part + 1));
  release_pages(whole.subspan(0, kPart));
  EXPECT_TRUE(all_are(whole.subspan(kPart, 2 * kPart).first(kPart), 2)) << "neighbours keep their bytes";
  lazy.prepare(other);
  EXPECT_TRUE(all_are(other, 9));
  EXPECT_EQ(made, (std::vector<int>{1, 2, 1}));
}

TEST(LazyTensors, LeaveOtherMemoryAlone) {
  LazyTensors lazy;
  const auto bytes = lazy.add(4096, {filled_with(1)});
  const std::vector<std::byte> elsewhere(64);
  EXPECT_TRUE(lazy.holds(bytes));
  EXPECT_TRUE(lazy.holds(bytes.subspan(4095)));
  EXPECT_FALSE(lazy.holds(elsewhere));
  lazy.prepare(elsewhere);
  EXPECT_TRUE(all_are(elsewhere, 0));
}

TEST(LazyTensors, WhatWasNotAskedForCannotBeRead) {
  LazyTensors lazy;
  const auto bytes = lazy.add(4096, {filled_with(1)});
  EXPECT_DEATH({ EXPECT_TRUE(all_are(bytes, 0)); }, "");
}

TEST(LazyTensors, HoldMemoryOnlyBetweenPrepareAndRelease) {
  constexpr std::size_t kPart = 64 << 20;
  LazyTensors lazy;
  const std::uint64_t before = resident_memory_bytes();
  const auto whole = lazy.add(kPart, std::vector<LazyTensors::Fill>(64, filled_with(7)));  // 4 GiB
  for (std::size_t part = 0; part < 3; ++part) {
    const auto slice = whole.subspan(part * kPart, kPart);
    lazy.prepare(slice);
    EXPECT_GT(resident_memory_bytes(), before + kPart / 2);
    EXPECT_LT(resident_memory_bytes(), before + 3 * kPart / 2);
    release_pages(slice);
    EXPECT_LT(resident_memory_bytes(), before + kPart / 2);
  }
}

}  // namespace
}  // namespace stepdown::formats
