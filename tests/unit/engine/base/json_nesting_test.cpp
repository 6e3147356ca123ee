#include "engine/base/json_nesting.h"

#include <string>

#include <gtest/gtest.h>

namespace stepdown {
namespace {

TEST(JsonNesting, CountsOnlyBracketsOutsideStrings) {
  struct Case {
    const char* text;
    int depth;
    bool in_string;
  };
  for (const Case& c :
       {Case{"", 0, false}, Case{"[{", 2, false}, Case{"[{}]", 0, false}, Case{R"(["[{")", 1, false},
        Case{R"(["a\"[)", 1, true}, Case{R"(["a\\")", 1, false}, Case{R"({"k": [1, ")", 2, true}}) {
    JsonNesting nesting;
    for (const char byte : std::string(c.text)) nesting.take(byte);
    EXPECT_EQ(nesting.depth(), c.depth) << c.text;
    EXPECT_EQ(nesting.in_string(), c.in_string) << c.text;
  }
}

TEST(JsonNesting, FindsTextsBeyondALimit) {
  EXPECT_FALSE(nests_deeper(std::string(10, '[') + std::string(10, ']') + "[[", 10));
  EXPECT_TRUE(nests_deeper(std::string(11, '['), 10));
  EXPECT_FALSE(nests_deeper("\"" + std::string(1000, '['), 10));
}

TEST(JsonNesting, FindsObjectsOfManyMembers) {
  EXPECT_FALSE(holds_wider_object(R"({"a": 1, "b": ":::", "c": {"d": 1, "e": [{"f": 1}, {"g": 1}]}})", 3));
  EXPECT_TRUE(holds_wider_object(R"({"a": 1, "b": 2, "c": {}, "d": 4})", 3));
  EXPECT_TRUE(holds_wider_object(R"([[{}, {"a": {"x": 0}, "b": 2, "c": 3, "d": 4}]])", 3));
  EXPECT_FALSE(holds_wider_object("]]}:::", 3)) << "no JSON, which the parser tells";
}

}  // namespace
}  // namespace stepdown
