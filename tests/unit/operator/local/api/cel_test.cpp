#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/local/api/cel/program.h"

namespace stepdown::local::api::cel {
namespace {

using Json = nlohmann::json;

Json self() {
  return Json::parse(R"({"size": 3, "name": "web", "tags": ["a", "b"], "ratio": 0.5,
    "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}], "labels": {"x": "1"}, "my-key": 7})");
}

Json evaluate(const char* text) {
  const Json value = self();
  return Program::compile(text).evaluate(value, nullptr);
}

TEST(Cel, Evaluates) {
  const std::pair<const char*, Json> kCases[] = {
      {"self.size + 2 * 3 == 9", true},
      {"self.size / 2", 1},
      {"-7 % 3", -1},
      {"self.ratio < 1", true},
      {"self.size > 2 ? 'big' : 'small'", "big"},
      {"'a' in self.tags && !('c' in self.tags)", true},
      {"'x' in self.labels", true},
      {"has(self.size) && !has(self.missing)", true},
      {"self.ports.all(p, p.port < 1000)", true},
      {"self.ports.exists(p, p.name == 'https')", true},
      {"self.ports.exists_one(p, p.port > 100)", true},
      {"self.ports.map(p, p.name)", Json::array({"http", "https"})},
      {"self.ports.filter(p, p.port == 80).size()", 1},
      {"self.tags.map(t, t != 'a', t + '!')", Json::array({"b!"})},
      {"self.labels.all(k, k.size() == 1)", true},
      {"size('héé') == 3", true},
      {"self.name.matches('^w.b$')", true},
      {"self.name.startsWith('w') && self.name.endsWith('b') && self.name.contains('e')", true},
      {"self.tags[1]", "b"},
      {"self.my__dash__key", 7},
      {"self.missing == 1 || true", true},  // an error gives way to what decides
      {"false && self.missing == 1", false},
      {"[1, 2] + [3] == [1, 2, 3]", true},
      {"[1, 2, 2].isSorted() && [3, 1].min() == 1 && [1.5, 2.0].sum() == 3.5", true},
      {"int('12') + 1 == 13 && string(5) == '5' && double(1) == 1.0", true},
      {"'a,b'.split(',').join('-')", "a-b"},
      {"{'k': [1]}.k[0]", 1},
      {"self.ports.exists(p, self.ports.exists_one(q, q.port == p.port + 363))", true},
  };
  for (const auto& [text, want] : kCases) EXPECT_EQ(evaluate(text), want) << text;
}

TEST(Cel, FailsWithTheReason) {
  const std::pair<const char*, const char*> kCases[] = {
      {"self.missing", "no such key: missing"},
      {"self.tags[5]", "index out of bounds: 5"},
      {"1 / 0", "division by zero"},
      {"9223372036854775807 + 1", "integer overflow"},
      {"self.name + 1", "no such overload"},
      {"self.tags.all(t, t > 1)", "no such overload"},
  };
  for (const auto& [text, why] : kCases) {
    try {
      evaluate(text);
      ADD_FAILURE() << text;
    } catch (const EvaluationError& error) {
      EXPECT_STREQ(error.what(), why) << text;
    }
  }
}

TEST(Cel, RefusesWhatItLacks) {
  for (const char* text :
       {"", "self.", "self.x(", "other == 1", "self.nope()", "quantity('1')", "self.?x", "b'bytes'",
        "self.all(x)", "1 +", "[1", "'open", "self.ports.all(1, true)", "99999999999999999999"}) {
    EXPECT_THROW(Program::compile(text), SyntaxError) << text;
  }
  EXPECT_THROW(Program::compile(std::string(10'000, '(')), SyntaxError);
  EXPECT_THROW(Program::compile(std::string(10'000, '!') + "true"), SyntaxError);
}

TEST(Cel, KnowsTransitionRules) {
  const Program rule = Program::compile("self == oldSelf");
  EXPECT_TRUE(rule.uses_old_self());
  const Json before = "a";
  EXPECT_EQ(rule.evaluate("a", &before), true);
  EXPECT_EQ(rule.evaluate("b", &before), false);
}

TEST(Cel, AnOptionalOldSelfIsAListOfOneOrNone) {
  const Program rule = Program::compile("oldSelf.hasValue() ? oldSelf.value() == 'a' : self == 'b'");
  const Json none = Json::array(), some = Json::array({"a"});
  EXPECT_EQ(rule.evaluate("b", &none), true);
  EXPECT_EQ(rule.evaluate("c", &some), true);
  EXPECT_EQ(Program::compile("oldSelf.orValue('d')").evaluate("c", &none), "d");
  EXPECT_THROW(Program::compile("oldSelf.value()").evaluate("c", &none), EvaluationError);
  EXPECT_THROW(Program::compile("self.value()").evaluate(5, nullptr), EvaluationError);
}

TEST(Cel, StopsAtItsBudget) {
  Json wide = Json::array();
  for (int i = 0; i < 2000; ++i) wide.push_back(i);
  EXPECT_THROW(
      Program::compile("self.all(a, self.all(b, self.all(c, a + b + c >= 0)))").evaluate(wide, nullptr),
      EvaluationError);
}

}  // namespace
}  // namespace stepdown::local::api::cel
