#include "engine/schema/schema.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::schema {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using testing::HasSubstr;

std::shared_ptr<const Schema> compile(const char* text) {
  return Schema::compile(ordered_json::parse(text));
}

const ordered_json& goldens() {
  static const auto cases = ordered_json::parse(
      read_file(std::string(STEPDOWN_SOURCE_DIR) + "/tests/unit/engine/schema/goldens/validity.json"));
  return cases;
}

bool matches(const std::shared_ptr<const Schema>& schema, std::string_view text) {
  PrefixMatcher matcher(schema);
  return matcher.accept(text) == text.size() && matcher.complete();
}

TEST(Schema, FindsValidWhatPythonsJsonschemaFindsValid) {
  std::size_t documents = 0;
  for (const ordered_json& item : goldens()) {
    const auto schema = Schema::compile(item["schema"]);
    for (const ordered_json& pair : item["documents"]) {
      EXPECT_EQ(schema->validate(json(pair[0])).empty(), pair[1].get<bool>())
          << item["schema"] << " " << pair[0];
      ++documents;
    }
  }
  EXPECT_GT(documents, 2000U);
}

TEST(PrefixMatcher, AcceptsExactlyTheValidDocumentsWhateverTheirSpacing) {
  for (const ordered_json& item : goldens()) {
    const auto schema = Schema::compile(item["schema"]);
    for (const ordered_json& pair : item["documents"]) {
      // 1.0 is an integer to JSON Schema but is not written as one, and control characters need \u.
      if (pair[0].is_number_float() && pair[0] == std::trunc(pair[0].get<double>())) continue;
      const bool escaped = pair[0].is_string() && pair[0].dump().find('\\') != std::string::npos &&
                           item["schema"].is_object() && item["schema"].contains("pattern");
      if (escaped) continue;  // patterns are led to text that JSON need not escape
      for (const int indent : {-1, 2}) {
        const bool literal = item["schema"].is_object() &&
                             (item["schema"].contains("enum") || item["schema"].contains("const"));
        if (indent > 0 && literal) continue;
        EXPECT_EQ(matches(schema, pair[0].dump(indent)), pair[1].get<bool>())
            << item["schema"] << " " << pair[0];
      }
    }
  }
}

/// Walks at random along bytes that the matcher accepts: whatever it calls complete must be valid, and the
/// end must be in reach.
TEST(PrefixMatcher, RandomWalksEndInValidDocuments) {
  std::mt19937 random(11);
  const std::string_view favourites = "\"}],:{[0123456789.eE+-truefalsn \\abcdxyz\xc3\xa9";
  std::size_t finished = 0;
  for (const ordered_json& item : goldens()) {
    const auto schema = Schema::compile(item["schema"]);
    for (int walk = 0; walk < 40; ++walk) {
      PrefixMatcher matcher(schema);
      std::string text;
      for (int step = 0; step < 400 && !matcher.finished(); ++step) {
        if (matcher.complete()) {
          EXPECT_TRUE(schema->validate_text(text).empty()) << item["schema"] << " " << text;
        }
        const auto first = static_cast<std::size_t>(random() % favourites.size());
        bool moved = false;
        // After a while prefer what closes.
        for (std::size_t i = 0; i < favourites.size() && !moved; ++i) {
          const auto byte =
              static_cast<unsigned char>(favourites[step > 60 ? i : (first + i) % favourites.size()]);
          moved = matcher.accept(byte);
          if (moved) text += static_cast<char>(byte);
        }
        for (int byte = 0; byte < 256 && !moved; ++byte) {
          moved = matcher.accept(static_cast<unsigned char>(byte));
          if (moved) text += static_cast<char>(byte);
        }
        ASSERT_TRUE(moved || matcher.complete()) << "dead end: " << item["schema"] << " " << text;
        if (!moved) break;
      }
      if (matcher.finished()) {
        EXPECT_TRUE(schema->validate_text(text).empty()) << item["schema"] << " " << text;
        ++finished;
      }
    }
  }
  EXPECT_GT(finished, 500U);
}

TEST(PrefixMatcher, BoundsWhitespace) {
  const auto schema = compile(R"({"type": "array", "items": {"type": "array", "items": {"type": "null"}}})");
  struct {
    const char* text;
    std::size_t accepted;
  } const cases[] = {
      {"  [", 1},
      {" [", 2},
      {"\n [", 1},
      {"[  ", 2},
      {"[\n    [", 7},
      {"[\n     [", 6},
      {"[\n\n", 2},
      {"[\n\t[\n\t\tnull\n\t]\n]", 16},
      {"[[\n        null", 15},
      {"[[\n         null", 11},
      {"[[null , null ]\n]\n", 17},
      {"[\r", 1},
  };
  for (const auto& item : cases)
    EXPECT_EQ(PrefixMatcher(schema).accept(std::string_view(item.text)), item.accepted) << item.text;
}

TEST(PrefixMatcher, KeepsPropertiesInTheSchemasOrder) {
  const auto schema = compile(
      R"({"type": "object", "properties": {"b": {"type": "null"}, "a": {"type": "null"}, "c": {"type": "null"}},
                                  "required": ["a"], "additionalProperties": false})");
  EXPECT_TRUE(matches(schema, R"({"b":null,"a":null,"c":null})"));
  EXPECT_TRUE(matches(schema, R"({"a":null})"));
  EXPECT_TRUE(matches(schema, R"({ "a" : null , "c" : null })"));
  for (const char* wrong : {R"({"a":null,"b":null})", R"({"b":null,"c":null})", R"({"a":null,"a":null})",
                            R"({"a":null,})", R"({})", R"({"d":1})", R"({"a" null})"}) {
    EXPECT_FALSE(matches(schema, wrong)) << wrong;
  }
  EXPECT_TRUE(schema->validate_text(R"({"c":null,"a":null})").empty());
}

TEST(PrefixMatcher, PutsOtherPropertiesBehindTheDeclaredOnes) {
  const auto schema = compile(
      R"({"type": "object", "properties": {"ab": {"type": "null"}}, "additionalProperties": {"type": "integer"}})");
  EXPECT_TRUE(matches(schema, R"({"ab":null,"x":1,"é":2})"));
  EXPECT_TRUE(matches(schema, R"({"abc":1,"a":2,"":3})"));
  EXPECT_FALSE(matches(schema, R"({"x":1,"ab":null})"));
  EXPECT_FALSE(matches(schema, R"({"ab":1})"));
}

struct Text {
  const char* text;
  bool valid;
};

TEST(PrefixMatcher, StringsAreValidUtf8AndJson) {
  const auto schema = compile(R"({"type": "string", "minLength": 1, "maxLength": 2})");
  const Text cases[] = {
      {R"("")", false},
      {R"("a")", true},
      {R"("ab")", true},
      {R"("abc")", false},
      {"\"éé\"", true},
      {"\"😀😀\"", true},
      {"\"😀😀😀\"", false},
      {"\"\xff\"", false},
      {"\"\xc0\x80\"", false},
      {"\"\xed\xa0\x80\"", false},
      {"\"\xf4\x90\x80\x80\"", false},
      {"\"\xe2\x82\"", false},
      {R"("\n\"")", true},
      {R"("\x")", false},
      {R"("\u00e9\u00E9")", true},
      {R"("\ud83d\ude00")", true},
      {R"("\ud83d")", false},
      {R"("\ude00")", false},
      {R"("\ud83d\u0041")", false},
      {"\"\n\"", false},
      {R"("\u12")", false},
      {"\"a", false},
  };
  for (const Text& item : cases) {
    EXPECT_EQ(matches(schema, item.text), item.valid) << item.text;
    EXPECT_EQ(schema->validate_text(item.text).empty(), item.valid) << item.text;
  }
}

TEST(PrefixMatcher, NumbersStayWithinTheirBounds) {
  struct {
    const char* schema;
    std::vector<const char*> in, out;
  } const cases[] = {
      {R"({"type": "integer", "minimum": 95, "maximum": 1203})",
       {"95", "99", "100", "1203", "1000"},
       {"94", "9", "1204", "2000", "0", "-95", "095"}},
      {R"({"type": "integer", "minimum": -20, "maximum": -5})",
       {"-5", "-20", "-12"},
       {"-4", "-21", "5", "-0", "0", "-1"}},
      {R"({"type": "integer", "minimum": -3, "maximum": 3})", {"-3", "0", "3"}, {"-0", "4", "-4", "10"}},
      {R"({"type": "number", "minimum": 0, "maximum": 1})",
       {"0", "1", "0.5", "1.0", "0.00000001"},
       {"1.1", "-0.1", "2", "1e-1", ".5", "0.", "01"}},
      {R"({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})",
       {"0.1", "0.99999999"},
       {"0", "1", "0.0", "1.0"}},
      {R"({"type": "number", "minimum": -273.15})",
       {"-273.15", "0", "12345.678", "-273.1"},
       {"-273.16", "-300"}},
      {R"({"type": "number"})",
       {"1e5", "-0", "0.5E+10", "1.25", "12345678901234567890"},
       {"1e", "+1", "1.", "--1", "1e999", "00"}},
      {R"({"type": "integer"})",
       {"0", "-1", "999999999999999999"},
       {"1.0", "1e3", "-0", "1000000000000000000"}},
  };
  for (const auto& item : cases) {
    const auto schema = compile(item.schema);
    for (const char* text : item.in) EXPECT_TRUE(matches(schema, text)) << item.schema << " " << text;
    for (const char* text : item.out) EXPECT_FALSE(matches(schema, text)) << item.schema << " " << text;
  }
}

TEST(PrefixMatcher, KeysTellStatesApartOnlyWithinTheHorizon) {
  const auto schema = compile(R"({"type": "string", "maxLength": 100})");
  PrefixMatcher one(schema);
  one.accept("\"abc");
  PrefixMatcher other(schema);
  other.accept("\"abcdefgh");
  EXPECT_EQ(one.key(20), other.key(20));
  EXPECT_NE(one.key(95), other.key(95));
  EXPECT_EQ(one.free_text(), 97U);
  other.accept("\"");
  EXPECT_FALSE(other.free_text());
}

TEST(PrefixMatcher, BoundsNestingAndAlwaysLeavesAWayOut) {
  const auto schema = Schema::any_object();
  PrefixMatcher matcher(schema);
  std::string text;
  while (matcher.accept("{\"a\":") == 5) text += "{\"a\":";
  EXPECT_LT(text.size(), 64U * 5 + 1);
  matcher = PrefixMatcher(schema);
  ASSERT_EQ(matcher.accept(text), text.size());
  text += "1" + std::string(text.size() / 5, '}');
  EXPECT_TRUE(matches(schema, text));
  EXPECT_TRUE(schema->validate_text(text).empty());
}

TEST(Schema, SurvivesAlternativesThatMultiply) {
  const auto schema =
      compile(R"({"$defs": {"t": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/t"}, "minItems": 1},
                                 {"type": "array", "items": {"$ref": "#/$defs/t"}, "maxItems": 9}, {"type": "null"}]}}, "$ref": "#/$defs/t"})");
  const std::string deep = std::string(60, '[') + "1" + std::string(60, ']');
  EXPECT_FALSE(schema->validate_text(deep).empty());
  EXPECT_TRUE(schema->validate_text(std::string(60, '[') + "null" + std::string(60, ']')).empty());
  PrefixMatcher matcher(schema);
  EXPECT_EQ(matcher.accept(deep), 60U);
}

/// "d0" refers to "d1" twice, and so on to the last, which is `end`.
ordered_json doubling(int levels, const char* keyword, const ordered_json& end) {
  ordered_json defs = ordered_json::object();
  for (int i = 0; i < levels; ++i) {
    const ordered_json next = {{"$ref", "#/$defs/d" + std::to_string(i + 1)}};
    defs["d" + std::to_string(i)] = {{keyword, ordered_json::array({next, next})}};
  }
  defs["d" + std::to_string(levels)] = end;
  return defs;
}

TEST(PrefixMatcher, AlternativesOfAlternativesAreLookedThroughOnce) {
  const auto schema = Schema::compile(
      ordered_json{{"$ref", "#/$defs/d0"}, {"$defs", doubling(40, "anyOf", {{"type", "boolean"}})}});
  EXPECT_TRUE(matches(schema, "true"));
  EXPECT_FALSE(matches(schema, "1"));
}

TEST(Schema, TellsAlternativesOfAlternativesApartOnce) {
  ordered_json defs = doubling(12, "anyOf", {{"type", "boolean"}});
  const ordered_json others = doubling(12, "anyOf", {{"type", "string"}});
  for (const auto& [name, def] : others.items()) {
    ordered_json other = def;
    for (const char* keyword : {"anyOf"}) {
      if (!other.contains(keyword)) continue;
      for (ordered_json& each : other[keyword])
        each["$ref"] = "#/$defs/x" + each["$ref"].get<std::string>().substr(9);
    }
    defs["x" + name.substr(1)] = other;
  }
  const ordered_json oneOf = ordered_json::array({{{"$ref", "#/$defs/d0"}}, {{"$ref", "#/$defs/x0"}}});
  EXPECT_TRUE(matches(Schema::compile(ordered_json{{"oneOf", oneOf}, {"$defs", defs}}), "\"a\""));
}

TEST(PrefixMatcher, EveryOneOfManyAlternativesCanBeWritten) {
  ordered_json values = ordered_json::array();
  for (int i = 0; i < 600; ++i) values.push_back({{"const", "v" + std::to_string(i)}});
  const auto schema = Schema::compile(ordered_json{{"anyOf", values}});
  for (int i = 0; i < 600; ++i) ASSERT_TRUE(matches(schema, "\"v" + std::to_string(i) + '"')) << i;
  ordered_json objects = ordered_json::array();
  for (int i = 0; i < 300; ++i)
    objects.push_back({{"type", "object"}, {"properties", {{"v" + std::to_string(i), true}}}});
  EXPECT_THROW(Schema::compile(ordered_json{{"anyOf", objects}}), InputError);  // more than are followed
}

TEST(Schema, WhatCompiledSchemasHoldIsBounded) {
  ordered_json properties = ordered_json::object();
  for (int i = 0; i < 100; ++i) {
    const std::string pattern = "^(a|b)*a(a|b){9}" + std::to_string(i) + "$";  // a thousand states and more
    properties["p" + std::to_string(i)] = {{"type", "string"}, {"pattern", pattern}};
  }
  EXPECT_THROW(Schema::compile(ordered_json{{"type", "object"}, {"properties", properties}}), InputError);
  for (auto& [name, property] : properties.items()) property["pattern"] = "^(a|b)*a(a|b){9}$";
  EXPECT_NO_THROW(Schema::compile(ordered_json{{"type", "object"}, {"properties", properties}}));
  EXPECT_THROW(Schema::compile(ordered_json{{"const", std::string(1 << 20, 'x')}}), InputError);
  EXPECT_THROW(Schema::compile(ordered_json{{"type", "string"}, {"pattern", "^(a?){4000}$"}}), InputError);
}

TEST(Schema, TellsEveryViolationWithItsPath) {
  const auto schema = compile(
      R"({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer", "maximum": 3}}, "b~/": {"type": "null"}},
                                  "required": ["a", "b~/"], "additionalProperties": false})");
  const auto violations = schema->validate_text(R"({"a": [1, 9, "x"], "c": 1})");
  std::vector<std::string> told;
  for (const Violation& violation : violations) told.push_back(violation.path + " " + violation.what);
  EXPECT_THAT(told, testing::ElementsAre("/a/1 is too large", "/a/2 is no integer", "/b~0~1 is missing",
                                         "/c is not allowed"));
  EXPECT_EQ(schema->validate_text("{")[0].what, "is no JSON");
}

struct Judged {
  const char* schema;
  std::vector<const char*> valid;
  std::vector<const char*> invalid;
};

TEST(Schema, JudgesAndLeadsByOneRule) {
  const Judged cases[] = {
      {R"({"type": "string", "format": "date"})",
       {"\"2024-02-29\"", "\"1999-12-31\"", "\"2000-02-29\""},
       {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-04-31\"", "\"2024-13-01\"", "\"24-01-01\""}},
      {R"({"type": "string", "format": "duration"})",
       {"\"P1Y2M3DT4H5M6S\"", "\"P2W\"", "\"PT36H\"", "\"P4DT12H\""},
       {"\"P\"", "\"P1D2H\"", "\"P1YT\"", "\"PT1D\"", "\"P1Y1D\"", "\"P1W2D\""}},
      {R"({"type": "string", "format": "ipv4"})",
       {"\"0.0.0.0\"", "\"255.249.100.9\""},
       {"\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""}},
      {R"({"type": "string", "format": "ipv6"})",
       {"\"::\"", "\"::1\"", "\"2001:db8::ff00:42:8329\"", "\"::ffff:1.2.3.4\"", "\"1:2:3:4:5:6:7:8\"",
        "\"1::\""},
       {"\":\"", "\"1:2:3:4:5:6:7\"", "\"1::2::3\"", "\"12345::\"", "\"1:2:3:4:5:6:7:8:9\"", "\"::1.2.3\""}},
      {R"({"type": "string", "format": "hostname"})",
       {"\"a\"", "\"harbor-7.example.org\""},
       {"\"\"", "\"-a.org\"", "\"a..b\"", "\"a_b\"", "\"a-\""}},
      {R"({"type": "string", "format": "email"})",
       {"\"ann@example.org\"", "\"a.b+c@x-1.io\""},
       {"\"ann\"", "\"@x.org\"", "\"a@b@c.d\"", "\".a@x.org\"", "\"a@-x.org\""}},
      {R"({"type": "integer", "multipleOf": 7, "minimum": -21})",
       {"-21", "-7", "0", "7", "700", "70007"},
       {"1", "-28", "-3", "71"}},
      {R"({"type": "number", "multipleOf": 0.25, "maximum": 1.5})",
       {"0.25", "1.5", "1.0", "-3"},
       {"0.3", "1.75", "0.125"}},
      {R"({"type": "object", "properties": {"a": {"type": "null"}}, "unevaluatedProperties": false})",
       {"{}", R"({"a": null})"},
       {R"({"b": 1})"}},
      {R"({"type": "object", "unevaluatedProperties": {"type": "integer"}})",
       {R"({"b": 1})"},
       {R"({"b": ""})"}},
      {R"({"type": "array", "prefixItems": [{"type": "null"}], "unevaluatedItems": false})",
       {"[]", "[null]"},
       {"[null, 1]"}},
      {R"({"format": "ipv4"})",
       {"\"1.2.3.4\"", "7", "null", "[\"1.2\"]", "{\"a\": 1}", "true"},
       {"\"1.2\"", "\"\""}},
      {R"({"type": ["integer", "string"], "format": "date"})", {"3", "\"2024-02-29\""}, {"\"3\"", "null"}},
      {R"({"type": "array", "maxItems": 2.0, "minItems": 1.0})", {"[1]", "[1, 2]"}, {"[]", "[1, 2, 3]"}},
      {R"({"type": "array", "contains": {"const": 5}})",
       {"[5]", "[1, 5]", "[5, \"x\", {}, 5]"},
       {"[]", "[1]", "[[5]]", "[\"5\"]"}},
      {R"({"type": "array", "contains": {"type": "string"}, "minContains": 2, "maxContains": 3})",
       {R"(["a", "b"])", R"([1, "a", {"c": "d"}, "b", null, "c"])"},
       {"[]", R"(["a"])", R"([1, 2, 3])", R"(["a", "b", "c", 1, "d"])"}},
      {R"({"type": "array", "items": {"enum": ["a", "b", "c"]}, "contains": {"const": "b"}, "maxContains": 1, "minItems": 3, "maxItems": 3})",
       {R"(["a", "b", "c"])", R"(["b", "a", "a"])", R"(["c", "c", "b"])"},
       {R"(["a", "a", "a"])", R"(["b", "b", "a"])", R"(["a", "b"])"}},
      {R"({"type": "array", "items": {"const": "x"}, "contains": {"const": "x"}, "maxContains": 2})",
       {R"(["x"])", R"(["x", "x"])"},
       {"[]", R"(["x", "x", "x"])", R"(["y"])"}},
      {R"({"type": "array", "contains": {"type": "null"}, "minContains": 0, "maxContains": 1})",
       {"[]", "[1]", "[null, 1]"},
       {"[null, 1, null]"}},
      {R"({"type": "array", "minContains": 3, "maxContains": 1})", {"[]", "[1]"}, {"{}"}},
      {R"({"type": "array", "items": {"contains": {"type": "null"}}, "contains": {"type": "array"}, "maxItems": 2})",
       {"[[null]]", "[1, [2, null]]", "[[null], 1]"},
       {"[]", "[[]]", "[1, [2]]", "[1, 2]", "[1, 2, [null]]"}},
      {R"({"allOf": [{"type": "array", "contains": {"type": "null"}}, {"minContains": 2}]})",
       {"[null]", "[1, null]"},
       {"[]", "[1]"}},
      {R"({"allOf": [{"type": "array", "contains": {"type": "null"}}, {"contains": {"type": "null"}, "minContains": 2}]})",
       {"[null, null]", "[1, null, null]"},
       {"[]", "[null]"}},
      {R"({"type": "object", "properties": {"a": {"$ref": "#n"}}, "required": ["a"],
           "$defs": {"x": {"$anchor": "n", "type": "integer"}, "enum": {"enum": [{"$anchor": "n"}]}}})",
       {R"({"a": 1})"},
       {R"({"a": "n"})", "{}"}},
      {R"({"type": "object", "properties": {"a": {"type": "null"}}, "allOf": [{"properties": {"b": {"type": "null"}}}, {"$ref": "#/$defs/c"}],
           "unevaluatedProperties": false, "$defs": {"c": {"properties": {"c": true}}}})",
       {"{}", R"({"a": null, "b": null, "c": 1})"},
       {R"({"d": 1})", R"({"b": 1})"}},
      {R"({"type": "object", "$ref": "#/$defs/c", "unevaluatedProperties": {"type": "integer"}, "$defs": {"c": {"properties": {"c": true}}}})",
       {R"({"c": null, "d": 1})"},
       {R"({"c": 1, "d": null})"}},
      {R"({"type": "object", "allOf": [{"additionalProperties": {"type": "integer"}}], "unevaluatedProperties": false})",
       {R"({"d": 1})"},
       {R"({"d": null})"}},
      {R"({"type": "object", "properties": {"a": true, "b": true}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}], "unevaluatedProperties": false})",
       {R"({"a": 1})", R"({"a": 1, "b": 1})"},
       {"{}", R"({"a": 1, "c": 1})"}},
      {R"({"type": "object", "allOf": [{"properties": {"a": true}, "unevaluatedProperties": false}, {"properties": {"b": true}}]})",
       {"{}", R"({"a": 1})"},
       {R"({"b": 1})", R"({"c": 1})"}},
      {R"({"type": "object", "allOf": [{"properties": {"a": true}, "unevaluatedProperties": false}],
           "anyOf": [{"properties": {"b": true}}, {"required": ["a"]}], "oneOf": [{"properties": {"b": true}}]})",
       {"{}", R"({"a": 1})"},
       {R"({"b": 1})", R"({"a": 1, "b": 1})"}},
      {R"({"type": "array", "prefixItems": [{"type": "null"}], "allOf": [{"prefixItems": [true, {"type": "integer"}]}], "unevaluatedItems": false})",
       {"[]", "[null]", "[null, 1]"},
       {"[1]", "[null, null]", "[null, 1, 1]"}},
      {R"({"type": "object", "properties": {"ab": {"minimum": 3}}, "patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": false})",
       {R"({"ab": 3})", R"({"ac": 1})", R"({"ab": 4, "ac": 1})"},
       {R"({"ab": 2})", R"({"ab": "x"})", R"({"ac": "x"})", R"({"b": 1})"}},
      {R"({"type": "object", "properties": {"id": {"type": "null"}}, "patternProperties": {"^x-[a-z]+$": {"type": "integer"}}, "additionalProperties": false})",
       {"{}", R"({"id": null, "x-a": 1, "x-bc": 2})"},
       {R"({"x-": 1})", R"({"x-a": null})", R"({"y": 1})", R"({"x-A": 1})"}},
      {R"({"type": "object", "propertyNames": {"pattern": "^[a-z]{2}$"}, "additionalProperties": {"type": "string"}})",
       {"{}", R"({"no": "ja", "en": "yes"})"},
       {R"({"nor": ""})", R"({"no": 1})", R"({"": ""})"}},
      {R"({"type": "object", "required": ["x"], "additionalProperties": {"type": "integer"}})",
       {R"({"x": 1})", R"({"x": 1, "y": 2})"},
       {"{}", R"({"y": 2})", R"({"x": ""})"}},
  };
  for (const Judged& judged : cases) {
    const auto schema = compile(judged.schema);
    for (const char* document : judged.valid) {
      EXPECT_TRUE(schema->validate_text(document).empty()) << judged.schema << document;
      EXPECT_TRUE(matches(schema, document)) << judged.schema << document;
    }
    for (const char* document : judged.invalid) {
      EXPECT_FALSE(schema->validate_text(document).empty()) << judged.schema << document;
      EXPECT_FALSE(matches(schema, document)) << judged.schema << document;
    }
  }
}

struct Refused {
  const char* schema;
  const char* says;
};

TEST(Schema, RefusesWhatItCannotEnforce) {
  const Refused cases[] = {
      {R"({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true}}})",
       "#/properties/a/uniqueItems: 'uniqueItems' is supported only for"},
      {R"({"type": "string", "format": "iri"})", "#/format: this format is not supported"},
      {R"({"type": "integer", "multipleOf": 0.5})", "#/multipleOf: multiples of this number"},
      {R"({"type": "integer", "multipleOf": 0})", "#/multipleOf: 'multipleOf' must be"},
      {R"({"type": "integer", "multipleOf": 7, "minimum": 8, "maximum": 13})", "no number lies between"},
      {R"({"anyOf": [{"properties": {"a": true}}, true], "unevaluatedProperties": false})",
       "'unevaluatedProperties' is supported only"},
      {R"({"type": "object", "patternProperties": {"^a": {"type": "null"}}})",
       "#/patternProperties: other names beside"},
      {R"({"type": "object", "patternProperties": {"^a": true, "^b": true}, "additionalProperties": false})",
       "#/patternProperties: several patterns"},
      {R"({"$ref": "#n", "$defs": {"a": {"$anchor": "n"}, "b": {"$anchor": "n"}}})", "'#n' names nothing"},
      {R"({"$ref": "#n", "$defs": {"a": {"$id": "other", "$anchor": "n"}}})", "'#n' names nothing"},
      {R"({"type": "array", "contains": {"pattern": "a"}, "maxContains": 1})",
       "#/maxContains: items that 'maxContains' counts"},
      {R"({"type": "array", "contains": true, "minContains": 33})", "#/contains: counts above 32"},
      {R"({"type": "array", "contains": true, "minContains": 2, "maxItems": 1})", "no list is long enough"},
      {R"({"type": "array", "contains": true, "prefixItems": [true]})",
       "#/contains: 'contains' beside 'prefixItems'"},
      {R"({"type": "array", "contains": true, "unevaluatedItems": false})", "#/contains: 'contains' beside"},
      {R"({"allOf": [{"contains": {"const": "a"}}, {"contains": {"const": "b"}}]})",
       "two of 'contains' cannot be merged"},
      {R"({"type": "array", "items": {"type": "integer"}, "contains": {"type": "null"}})", "no document"},
      {R"({"type": "object", "propertyNames": {"maxLength": 3, "pattern": "a"}})",
       "#/propertyNames: only a pattern"},
      {R"({"type": "object", "patternProperties": {"(": true}, "additionalProperties": false})",
       "#/patternProperties: pattern is not supported"},
      {R"({"type": "text"})", "#/type: unknown type \"text\""},
      {R"({"type": "integer", "minLength": 3})", "'minLength' has no effect on type integer"},
      {R"({"format": "iri"})", "#/format: this format is not supported"},
      {R"({"type": "object", "required": ["x"], "additionalProperties": false})",
       "'x' is required but not allowed"},
      {R"({"$ref": "https://example.org/x"})", "only references within the schema"},
      {R"({"$ref": "#/$defs/none"})", "names nothing"},
      {R"({"$ref": "#"})", "leads back to itself"},
      {R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})", "leads back to itself"},
      {R"({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})",
       "no document within 64 levels"},
      {R"({"type": "string", "minLength": 3, "maxLength": 2})", "minLength is above maxLength"},
      {R"({"type": "string", "minLength": -1})", "must be a count"},
      {R"x({"type": "string", "pattern": "^(?=a)"})x", "#/pattern: pattern is not supported"},
      {R"x({"type": "string", "pattern": "(a"})x", "not closed"},
      {R"({"type": "string", "pattern": "^[a-z]{2000}$"})", "above 1000"},
      {R"({"type": "string", "pattern": "^((a{900}){900}){900}$"})", "too large"},
      {R"({"type": "string", "pattern": "^\\\\$"})", "no string matches"},
      {R"({"type": "integer", "minimum": 3.2, "maximum": 3.8})", "no number lies between"},
      {R"({"type": "number", "minimum": 1e30})", "too large to be enforced"},
      {R"({"type": "array", "prefixItems": [true], "items": false, "minItems": 2})",
       "no list is long enough"},
      {R"({"enum": [1], "type": "string"})", "no value is left"},
      {R"({"anyOf": [{"type": "null"}], "type": "object"})", "no document"},
      {R"({"allOf": [{"type": "null"}, {"type": "string"}]})", "no document"},
      {R"({"allOf": [{"pattern": "a"}, {"pattern": "b"}]})", "two of 'pattern' cannot be merged"},
      {R"({"allOf": [{"required": 1}, {"required": ["a"]}]})", "'required' must be a list"},
      {R"({"not": {}})", "no document"},
      {R"({"not": {"pattern": "a"}})", "#/not: 'pattern' in 'not' is not supported"},
      {R"({"type": "number", "not": {"const": 3}})", "#/not: numbers in 'not'"},
      {R"({"type": "object", "maxProperties": 3})", "#/maxProperties"},
      {R"({"type": "object", "minProperties": 2})", "#/minProperties"},
      {R"({"type": "array", "prefixItems": [true], "uniqueItems": true})",
       "'uniqueItems' beside 'prefixItems'"},
      {R"({"$schema": "https://example.org/mine"})", "#/$schema"},
      {R"({"properties": {"a": {"$id": "x", "$ref": "#/$defs/b"}}})", "'$id' within a schema"},
      {R"(false)", "no document"},
      {R"(3)", "a schema must be an object"},
  };
  for (const Refused& refused : cases) {
    try {
      compile(refused.schema);
      ADD_FAILURE() << refused.schema;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(refused.says)) << refused.schema;
    }
  }
  ordered_json deep;
  for (int i = 0; i < 500; ++i)
    deep = {{"type", "array"}, {"items", deep.is_null() ? ordered_json(true) : deep}};
  EXPECT_THROW(Schema::compile(deep), InputError);
}

}  // namespace
}  // namespace stepdown::schema
