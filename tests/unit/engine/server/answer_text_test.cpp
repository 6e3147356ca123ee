#include "engine/server/answer_text.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/schema/text_grammar.h"

namespace stepdown::server {
namespace {

struct Case {
  const char* name;
  std::vector<std::string> stops;
  std::vector<std::string> pushed;
  std::vector<std::string> released;  ///< one a push, then the end's
  bool stopped;
};

class AnswerTextTest : public testing::TestWithParam<Case> {};

TEST_P(AnswerTextTest, ReleasesOnlyWhatIsCertain) {
  const Case& item = GetParam();
  AnswerText text(item.stops);
  std::vector<std::string> released;
  for (const std::string& bytes : item.pushed) released.push_back(text.push(bytes));
  if (!text.stopped()) released.push_back(text.finish());
  EXPECT_EQ(released, item.released);
  EXPECT_EQ(text.stopped(), item.stopped);
}

INSTANTIATE_TEST_SUITE_P(
    All, AnswerTextTest,
    testing::Values(Case{"plain", {}, {"ab", "c"}, {"ab", "c", ""}, false},
                    Case{"code point in two",
                         {},
                         {"a\xc3",
                          "\xa9"
                          "b"},
                         {"a", "éb", ""},
                         false},
                    Case{"emoji in four", {}, {"\xf0", "\x9f", "\x98", "\x80"}, {"", "", "", "😀", ""}, false},
                    Case{"never finished", {}, {"a\xe2\x82"}, {"a", "\xef\xbf\xbd\xef\xbf\xbd"}, false},
                    Case{"no UTF-8",
                         {},
                         {"a\xff"
                          "b"},
                         {"a\xef\xbf\xbd"
                          "b",
                          ""},
                         false},
                    Case{"stop within", {"END"}, {"abENDcd", "more"}, {"ab", ""}, true},
                    Case{"stop across", {"END"}, {"aE", "N", "D!"}, {"a", "", ""}, true},
                    Case{"no stop after all", {"END"}, {"aE", "N", "x"}, {"a", "", "ENx", ""}, false},
                    Case{"held at the end", {"END"}, {"aEN"}, {"a", "EN"}, false},
                    Case{"earliest of several", {"cd", "b"}, {"abcd"}, {"a"}, true},
                    Case{"stop of several bytes", {"é"}, {"a\xc3", "\xa9"}, {"a", ""}, true}),
    [](const auto& info) {
      std::string name = info.param.name;
      std::erase_if(name, [](char c) { return c == ' ' || c == '-'; });
      return name;
    });

TEST(AnswerText, AStopStringEndsWhatIsWholeAlone) {
  const auto schema = schema::Schema::compile(nlohmann::ordered_json::parse(
      R"({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})"));
  const std::string document = "{\"a\": \"one, two\"}";
  for (const char* stop : {",", "}", "\"", "a"}) {
    AnswerText text({stop}, schema::PrefixMatcher(schema));
    std::string released;
    for (const char c : document) released += text.push({&c, 1});
    EXPECT_FALSE(text.stopped()) << stop << " cuts the document";
    EXPECT_EQ(released + text.finish(), document);
  }
  const auto list = schema::TextGrammar::from_regex("[a-z]+(, [a-z]+)*[.]?");
  AnswerText text({", ", "c"}, schema::PrefixMatcher(list));
  EXPECT_EQ(text.push("ab, c"), "ab") << "what stands before is whole";
  EXPECT_TRUE(text.stopped());
  AnswerText begun({"b"}, schema::PrefixMatcher(list));
  EXPECT_EQ(begun.push("bab."), "ba") << "nothing is no text, \"ba\" is";
  EXPECT_TRUE(begun.stopped());
}

}  // namespace
}  // namespace stepdown::server
