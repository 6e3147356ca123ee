#include "operator/gateway/judge/loop_detector.h"

#include <string>

#include <gtest/gtest.h>

namespace stepdown::gateway {
namespace {

std::string repeat(const std::string& unit, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += unit;
  return text;
}

std::string counted(const char* before, const char* after, int items) {
  std::string text;
  for (int i = 0; i < items; ++i) text += before + std::to_string(i) + after;
  return text;
}

bool loops(const std::string& text, std::size_t piece) {
  LoopDetector detector;
  for (std::size_t at = 0; at < text.size(); at += piece)
    detector.add(std::string_view(text).substr(at, piece));
  return detector.looping();
}

TEST(LoopDetectorTest, SeesLoopsInAnyPiecesAndLeavesHealthyTextAlone) {
  const std::string report =
      "The conveyor at dock four stopped twice during the night shift because a bearing ran dry; the crew "
      "cleared it by hand, greased the housing and reported the worn seal to maintenance for the next "
      "window.";
  struct Case {
    const char* what;
    std::string text;
    bool looping;
  };
  const Case cases[] = {
      {"healthy", report, false},
      {"one token", repeat("!", 200), true},
      {"a word", report + repeat(" the", 20), true},
      {"a word inside a JSON string", R"({"root_cause": ")" + repeat("pump ", 16) + R"("})", true},
      {"a sentence", repeat("The pump failed because the pump failed. ", 12), true},
      {"a paragraph", repeat(report, 9), true},
      {"multi-byte", repeat("\xe6\x97\xa5\xe6\x9c\xac", 30), true},
      {"a loop that starts late", report + report.substr(3, 90) + repeat("so it is ", 30), true},
      {"a ruler", report + "\n" + repeat("-", 80) + "\n" + report.substr(20, 80), false},
      {"indentation", "{\n" + repeat(" ", 40) + "\"a\": 1}", false},
      {"a list of zeros", "[" + repeat("0, ", 40) + "0]", false},
      {"a numbered list", counted("- step ", ": check it again\n", 60), false},
      {"an array of objects", "[" + counted(R"({"id": )", R"(, "state": "ok"}, )", 80) + "0]", false},
      {"laughter", "ha ha ha ha, that is a good one and no loop at all", false},
      {"empty", "", false},
  };
  for (const Case& c : cases) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{100'000}}) {
      EXPECT_EQ(loops(c.text, piece), c.looping) << c.what << ", in pieces of " << piece;
    }
  }
}

TEST(LoopDetectorTest, SeesNearLoops) {
  std::string text;
  const char* words[] = {"it", "is", "the"};
  unsigned state = 1;
  for (int i = 0; i < 400; ++i) {
    state = state * 1664525U + 1013904223U;
    text += std::string(words[(state >> 20U) % 3]) + " ";
  }
  EXPECT_TRUE(loops(text, 4));
}

}  // namespace
}  // namespace stepdown::gateway
