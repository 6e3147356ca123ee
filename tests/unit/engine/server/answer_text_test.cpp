#include "engine/server/answer_text.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace stepdown::server
