#include "operator/cli/worse_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

json sample(const char* id, const json& scores, const char* text) {
  return {{"id", id}, {"scores", scores}, {"text", text}};
}

const json kFp16 = {
    {"samples",
     {sample("same", {{"jsonPass", 1}}, "{}"), sample("half", {{"fieldAccuracy", 1.0}}, "a b"),
      sample("lost", {{"jsonPass", 1}, {"fieldAccuracy", 1}}, "{\"a\": 1}"),
      sample("better", {{"jsonPass", 0}}, "?")}}};
const json kCandidate = {
    {"samples",
     {sample("same", {{"jsonPass", 1}}, "{}"), sample("half", {{"fieldAccuracy", 0.5}}, "a c"),
      sample("lost", {{"jsonPass", 0}, {"fieldAccuracy", 0.5}}, "{\"a\""),
      sample("better", {{"jsonPass", 1}}, "{}"), sample("alone", {{"jsonPass", 0}}, "")}}};

TEST(WorseAnswers, ComeWithTheLargestLossFirst) {
  const auto found = worse_answers(kFp16, kCandidate);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].id, "lost");
  EXPECT_EQ(found[0].metric, "jsonPass");
  EXPECT_EQ(found[0].fp16_text, "{\"a\": 1}");
  EXPECT_EQ(found[0].text, "{\"a\"");
  EXPECT_EQ(found[1].id, "half");
}

TEST(WorseAnswers, ArePrintedSideBySide) {
  const auto found = worse_answers(kFp16, kCandidate);
  const std::string text = print_worse_answers(found, 5, 1);
  EXPECT_THAT(text, HasSubstr("2 of 5 prompts"));
  EXPECT_THAT(text, HasSubstr("lost: jsonPass 1 -> 0\n  fp16: {\"a\": 1}\n  now:  {\"a\"\n"));
  EXPECT_THAT(text, Not(HasSubstr("half")));
}

TEST(WorseAnswers, LeaveOutWhatIsNoReport) {
  for (const json& odd :
       {json(), json::array(), json{{"samples", 1}}, json{{"samples", {1, json::object()}}}}) {
    EXPECT_TRUE(worse_answers(odd, kCandidate).empty());
    EXPECT_TRUE(worse_answers(kFp16, odd).empty());
  }
}

}  // namespace
}  // namespace stepdown::cli
