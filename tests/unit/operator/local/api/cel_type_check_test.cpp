#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/local/api/cel/type_check.h"

namespace stepdown::local::api::cel {
namespace {

using nlohmann::json;

const json kSchema = json::parse(R"({"type": "object", "properties": {
  "n": {"type": "integer"}, "f": {"type": "number"}, "s": {"type": "string"}, "b": {"type": "boolean"},
  "any": {"x-kubernetes-preserve-unknown-fields": true}, "ios": {"x-kubernetes-int-or-string": true},
  "l": {"type": "array", "items": {"type": "object", "properties": {"w": {"type": "integer"}}}},
  "ls": {"type": "array", "items": {"type": "string"}},
  "m": {"type": "object", "additionalProperties": {"type": "string"}},
  "o": {"type": "object"}, "do-t": {"type": "string"}}})");

std::string fault(const std::string& rule, const json& schema = kSchema, bool is_root = false,
                  bool optional = false, Result wanted = Result::kBool) {
  try {
    check_types(Program::compile(rule), rule, schema, is_root, optional, wanted);
    return {};
  } catch (const SyntaxError& error) {
    const std::string text = error.what();
    return text.substr(0, text.find('\n'));
  }
}

// What a kube-apiserver 1.34 says of a CRD with these rules.
TEST(CelTypeCheck, SaysWhatAnApiServerSays) {
  const std::pair<const char*, const char*> kCases[] = {
      {"self.nope == 1", "<input>:1:5: undefined field 'nope'"},
      {"self.n", "cel expression must evaluate to a bool"},
      {"self.n + self.f > 1.0",
       "<input>:1:8: found no matching overload for '_+_' applied to '(int, double)'"},
      {"self.n > 'a'", "<input>:1:8: found no matching overload for '_>_' applied to '(int, string)'"},
      {"self.n == 1.5", "<input>:1:8: found no matching overload for '_==_' applied to '(int, double)'"},
      {"self.s.foo == 1", "<input>:1:7: type 'string' does not support field selection"},
      {"self.l.all(x, x.q > 1)", "<input>:1:16: undefined field 'q'"},
      {"self.l.all(x, x.w)", "<input>:1:16: expected type 'bool' but found 'int'"},
      {"self.ls.all(x, x > 1)",
       "<input>:1:18: found no matching overload for '_>_' applied to '(string, int)'"},
      {"self.m.all(k, self.m[k] == 1)",
       "<input>:1:25: found no matching overload for '_==_' applied to '(string, int)'"},
      {"self.any.foo == 1", "<input>:1:5: undefined field 'any'"},
      {"self.o.x == 1", "<input>:1:7: undefined field 'x'"},
      {"!self.n", "<input>:1:1: found no matching overload for '!_' applied to '(int)'"},
      {"-self.s == 'a'", "<input>:1:1: found no matching overload for '-_' applied to '(string)'"},
      {"self.b && self.n", "<input>:1:15: expected type 'bool' but found 'int'"},
      {"self.n in self.ls",
       "<input>:1:8: found no matching overload for '@in' applied to '(int, list(string))'"},
      {"size(self.n) > 1", "<input>:1:5: found no matching overload for 'size' applied to '(int)'"},
      {"self.b ? 1 : 'a'",
       "<input>:1:8: found no matching overload for '_?_:_' applied to '(bool, int, string)'"},
      {"self.f == 1", "<input>:1:8: found no matching overload for '_==_' applied to '(double, int)'"},
      {"self.s + 1 == 'a'", "<input>:1:8: found no matching overload for '_+_' applied to '(string, int)'"},
      {"[1,'a'].size() > 0", "<input>:1:4: expected type 'int' but found 'string'"},
      {"has(self.nope)", "<input>:1:4: undefined field 'nope'"},
  };
  for (const auto& [rule, want] : kCases) EXPECT_EQ(fault(rule), want) << rule;
  // The server writes a method's receiver in front of the arguments' parenthesis.
  for (const char* rule : {"self.s.matches(1)", "self.n.startsWith('a')", "self.l.isSorted()",
                           "self.ls.sum() > 1", "oldSelf.hasValue()", "self.l['a'].w > 1"}) {
    EXPECT_NE(fault(rule).find("found no matching overload"), std::string::npos)
        << rule << ": " << fault(rule);
  }
}

TEST(CelTypeCheck, TakesWhatAnApiServerTakes) {
  for (const char* rule :
       {"self.n > 1.5", "self.m.a == 'x'", "self.ios == 5", "self.ios > 5", "self.s in self.ls", "self.f > 1",
        "self.l[0].w > 1", "self.do__dash__t == 'a'", "self.ls.isSorted()", "self.l.map(x, x.w).sum() > 1",
        "self.l.map(x, x.w).isSorted()", "self == oldSelf", "dyn(self.n) == 'a'"}) {
    EXPECT_EQ(fault(rule), "") << rule;
  }
}

TEST(CelTypeCheck, TheRootShowsItsNameAndAnOptionalOldSelfItsValue) {
  EXPECT_EQ(fault("self.metadata.name.size() > 1", kSchema, true), "");
  EXPECT_EQ(fault("self.metadata.labels.size() > 1", kSchema, true),
            "<input>:1:14: undefined field 'labels'");
  EXPECT_EQ(fault("self.metadata.name.size() > 1"), "<input>:1:5: undefined field 'metadata'");
  EXPECT_EQ(fault("oldSelf.hasValue() || self.n > 1", kSchema, false, true), "");
  EXPECT_EQ(fault("!oldSelf.hasValue() || oldSelf.value().n > 1", kSchema, false, true), "");
  EXPECT_NE(fault("oldSelf.n > 1", kSchema, false, true), "");
  EXPECT_EQ(fault("'n is ' + string(self.n)", kSchema, false, false, Result::kString), "");
  EXPECT_EQ(fault("self.n", kSchema, false, false, Result::kString),
            "cel expression must evaluate to a string");
}

}  // namespace
}  // namespace stepdown::local::api::cel
