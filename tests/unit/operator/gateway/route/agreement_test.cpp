#include "operator/gateway/route/agreement.h"

#include <gtest/gtest.h>

namespace stepdown::gateway {
namespace {

TEST(AgreementTest, JsonByLeavesAndTextByWords) {
  struct Case {
    const char* a;
    const char* b;
    double differ;
  };
  const Case cases[] = {
      {R"({"a": 1, "b": "x"})", R"({"b": " X. ", "a": 1.0})", 0},
      {R"({"a": 1, "b": "x"})", R"({"a": 1, "b": "y"})", 0.5},
      {R"({"a": 1})", R"({"b": 1})", 1},
      {R"({"a": [1, 2, 3, 4]})", R"({"a": [1, 2, 3, 5]})", 0.25},
      {R"({"a": []})", R"({"a": {}})", 0},
      {"The pump failed.", "the PUMP failed", 0},
      {"the pump failed", "the valve failed", 1.0 / 3},
      {"alpha beta", "gamma", 1},
      {"", "", 0},
      // Longer texts: whether they are about the same.
      {"The sky is blue since air scatters blue light more than red light.",
       "Blue light is scattered by the air more than red, so the sky looks blue.", 0},
      {"The sky is blue since air scatters blue light more than red light.",
       "Boil the eggs for nine minutes, then put them under cold water and peel them.", 1},
      {R"({"severity": "low", "note": "The belt of line two was worn and has been replaced by the crew."})",
       R"({"severity": "low", "note": "The crew has replaced the worn belt of line two during the shift."})",
       0},
      {R"({"severity": "low", "note": "The belt of line two was worn and has been replaced by the crew."})",
       R"({"severity": "high", "note": "The crew has replaced the worn belt of line two during the shift."})",
       0.5},
      {"", "word", 1},
      {R"({"a": 1})", "no JSON at all", 1},
      {"\xff\xfe{", "{\xff\xfe", 0},
  };
  for (const Case& c : cases) {
    EXPECT_NEAR(disagreement(c.a, c.b), c.differ, 1e-9) << c.a << " | " << c.b;
    EXPECT_NEAR(disagreement(c.b, c.a), c.differ, 1e-9) << "symmetric: " << c.a << " | " << c.b;
  }
}

TEST(AgreementTest, NestingWithoutEndIsNoWayToCrash) {
  const std::size_t deep = 1'000'000;
  const std::string answer = std::string(deep, '[') + "1" + std::string(deep, ']');
  EXPECT_EQ(disagreement(answer, answer), 0);
  EXPECT_EQ(disagreement(answer, R"({"a": 2})"), 1);
}

}  // namespace
}  // namespace stepdown::gateway
