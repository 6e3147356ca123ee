#include "engine/tokenizer/chat_template.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::tokenizer {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

/// jinja2's text, or null when it raised.
void expect_golden(const ordered_json& item) {
  const auto name = item["name"].get<std::string>();
  try {
    const std::string text = ChatTemplate(item["template"].get<std::string>()).render(item["variables"]);
    EXPECT_EQ(ordered_json(text), item["text"]) << name;
  } catch (const InputError& error) {
    EXPECT_TRUE(item["text"].is_null()) << name << ": " << error.what();
  }
}

TEST(ChatTemplate, RendersAsJinjaDoes) {
  const auto cases = ordered_json::parse(read_file(
      std::string(STEPDOWN_SOURCE_DIR) + "/tests/unit/engine/tokenizer/goldens/chat_templates.json"));
  ASSERT_GT(cases.size(), 80U);
  for (const auto& item : cases) expect_golden(item);
}

TEST(ChatTemplate, AgreesOnFurtherTemplatesWhenGiven) {
  const char* path = std::getenv("STEPDOWN_TEMPLATE_GOLDENS");
  if (path == nullptr) GTEST_SKIP() << "STEPDOWN_TEMPLATE_GOLDENS names none";
  for (const auto& item : ordered_json::parse(read_file(path))) expect_golden(item);
}

struct Refused {
  std::string source;
  std::string says;
};

TEST(ChatTemplate, RefusesWithLineAndColumn) {
  const Refused cases[] = {
      {"{% for x in y %}", "1:17: 'endfor' is missing"},
      {"a\n  {% endif %}", "2:6: statement 'endif' is not supported"},
      {"{{ a", "1:1: tag is not closed"},
      {"{# a", "comment is not closed"},
      {"{{ 'a }}", "string is not closed"},
      {"{{ }}", "an expression is missing"},
      {"{{ a ! b }}", "unexpected character '!'"},
      {"{% include 'x' %}", "statement 'include' is not supported"},
      {"{% macro x( %}{% endmacro %}", "expected a parameter"},
      {"{% macro x(a=1, b) %}{% endmacro %}", "a parameter without default"},
      {"{% macro x() %}{% break %}{% endmacro %}", "outside a loop"},
      {"{% call x %}{% endcall %}", "'call' needs a macro's call"},
      {"{% break %}", "outside a loop"},
      {"{{ 99999999999999999999 }}", "integer is too large"},
      {"{{ " + std::string(5000, '(') + " }}", "nested deeper"},
      {"{{ a" + std::string(5000, '+') + "a }}", "nested deeper"},
      {"{{ 1" +
           [] {
             std::string s;
             for (int i = 0; i < 5000; ++i) s += "+1";
             return s;
           }() +
           " }}",
       "nested too deeply"},
      {[] {
         std::string s;
         for (int i = 0; i < 5000; ++i) s += "{% if a %}";
         return s;
       }(),
       "nested deeper"},
  };
  for (const Refused& refused : cases) {
    try {
      const ChatTemplate parsed(refused.source);
      ADD_FAILURE() << refused.source.substr(0, 60);
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(refused.says));
    }
  }
}

TEST(ChatTemplate, RuntimeErrorsNameTheirPlace) {
  const Refused cases[] = {
      {"\n{{ nope.x }}", "chat template:2:8: 'nope' is undefined"},
      {"{{ raise_exception('roles must alternate') }}", "messages: roles must alternate"},
      {"{{ x | frobnicate }}", "'frobnicate' is not supported"},
      {"{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "does not end"},
      {"{% set s = 'abcdefgh' %}{% for i in range(60) %}{% set ns = namespace(s=s) %}{% endfor %}"
       "{% set n = namespace(s=s) %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
       "more than 64 MiB"},
      {"{% set n = namespace() %}{% set n.n = n %}", "cannot hold namespaces"},
      {"{% set n = namespace() %}{% set n.n = [n] %}{{ n }}", "cannot hold namespaces"},
  };
  for (const Refused& refused : cases) {
    try {
      ChatTemplate(refused.source).render(ordered_json::object());
      ADD_FAILURE() << refused.source;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(refused.says));
    }
  }
}

}  // namespace
}  // namespace stepdown::tokenizer
