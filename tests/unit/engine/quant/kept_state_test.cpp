#include "engine/quant/kept_state.h"

#include <array>
#include <cstring>

#include "tests/unit/engine/formats/temp_folder.h"
#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

using formats::TempFolder;

struct Numbers {
  std::vector<float> first{0.1f, -0.0f, 3e-45f};
  std::vector<float> second{7.0f};

  void keep(const std::filesystem::path& file) const {
    const std::array<std::span<const float>, 2> numbers = {first, second};
    keep_state(file, {{"step", 3}}, numbers);
  }
  nlohmann::json take_up(const std::filesystem::path& file) {
    return take_up_state(file, [&](const nlohmann::json& head, std::size_t numbers) {
      EXPECT_LE(head.at("step").get<std::size_t>(), numbers);
      return std::vector<std::span<float>>{first, second};
    });
  }
};

TEST(KeptState, GivesBackTheHeadAndEveryBit) {
  const TempFolder folder;
  Numbers().keep(folder / "state");
  Numbers found{{9, 9, 9}, {9}};
  EXPECT_EQ(found.take_up(folder / "state"), nlohmann::json({{"step", 3}}));
  EXPECT_EQ(found.first, Numbers().first);
  EXPECT_TRUE(std::signbit(found.first[1]));
  EXPECT_EQ(found.second, Numbers().second);
}

// A training of hours needs no room for it, and its result may need the room that an earlier state takes.
TEST(KeptState, OnAFullDiskNothingIsKeptAndTheWorkGoesOn) {
  const TempFolder folder;
  Numbers().keep(folder / "state");
  std::filesystem::create_symlink("/dev/full", folder / "state.next");
  testing::internal::CaptureStderr();
  EXPECT_NO_THROW(Numbers().keep(folder / "state"));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("begins anew"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(KeptState, WhatDoesNotFitIsNotTakenUp) {
  const TempFolder folder;
  EXPECT_TRUE(Numbers().take_up(folder / "none").is_null());
  Numbers().keep(folder / "state");
  const std::string whole = read_file(folder / "state");
  for (Numbers other : {Numbers{{1, 2}, {3}}, Numbers{{1, 2, 3, 4}, {5}}, Numbers{{}, {}}}) {
    const Numbers before = other;
    EXPECT_TRUE(other.take_up(folder / "state").is_null());
    EXPECT_EQ(other.first, before.first) << "nothing was written over";
  }
  std::string long_head = whole;
  const std::uint64_t beyond = ~std::uint64_t{0};
  std::memcpy(long_head.data(), &beyond, sizeof beyond);
  std::string other_head = whole;
  other_head.replace(other_head.find("step"), 4, "stop");
  for (const std::string& damaged : {std::string(), whole.substr(0, 5), whole.substr(0, 12),
                                     whole.substr(0, whole.size() - 1), long_head, other_head}) {
    write_file_atomically(folder / "state", damaged);
    EXPECT_TRUE(Numbers().take_up(folder / "state").is_null()) << damaged.size();
  }
}

TEST(KeptState, AFullDiskIsToldAndWhatWasKeptStays) {
  const TempFolder folder;
  Numbers().keep(folder / "state");
  std::filesystem::create_directory(folder / "state.next");  // stands in the way of the next one
  EXPECT_THROW(Numbers().keep(folder / "state"), Error);
  EXPECT_FALSE(Numbers().take_up(folder / "state").is_null());
  discard_state(folder / "state");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace stepdown::quant
