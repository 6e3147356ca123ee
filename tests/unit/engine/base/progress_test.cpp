#include "engine/base/progress.h"

#include <sstream>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace stepdown {
namespace {

std::vector<nlohmann::json> lines_of(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

// What a Job's log shows: the layer at work, how many there are, and how long the others will take.
TEST(Progress, NamesTheLayerAndWhatIsLeftOfTheTime) {
  testing::internal::CaptureStderr();
  {
    Progress progress("quantize gptq", 4);
    ::usleep(20000);
    progress.note("layer 0");
    progress.advance();  // the first one is always told
    progress.note("layer 3");
    progress.advance(3);  // not within the same second
  }
  const auto lines = lines_of(testing::internal::GetCapturedStderr());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["progress"], "quantize gptq");
  EXPECT_EQ(lines[0]["done"], 1);
  EXPECT_EQ(lines[0]["total"], 4);
  EXPECT_EQ(lines[0]["note"], "layer 0");
  EXPECT_GE(lines[0]["eta_s"].get<double>(), 3 * 0.02) << "three more, at least as long each";
  EXPECT_EQ(lines[1]["done"], 4);
  EXPECT_EQ(lines[1]["note"], "layer 3");
  EXPECT_GE(lines[1]["elapsed_s"].get<double>(), 0.02);
}

TEST(Progress, WhatAnEarlierRunDidTellsNothingOfTheTimeThatIsLeft) {
  testing::internal::CaptureStderr();
  {
    Progress progress("quantize gptq", 100);
    progress.skip(90);
    ::usleep(20000);
    progress.advance();
  }
  const auto lines = lines_of(testing::internal::GetCapturedStderr());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["done"], 91);
  EXPECT_GE(lines[0]["eta_s"].get<double>(), 9 * 0.02) << "nine more, at least as long as this one";
}

TEST(Progress, BeforeAnythingIsDoneNoTimeIsTold) {
  testing::internal::CaptureStderr();
  {
    Progress progress("quantize gptq", 4);
    progress.advance(0);
  }
  const auto lines = lines_of(testing::internal::GetCapturedStderr());
  EXPECT_FALSE(lines[0].contains("eta_s"));
}

}  // namespace
}  // namespace stepdown
