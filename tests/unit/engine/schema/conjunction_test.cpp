// Schemas that say several things of one value.
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/schema/excluded_texts.h"
#include "engine/schema/negation.h"
#include "engine/schema/schema.h"
#include "engine/schema/schema_merge.h"
#include "engine/schema/string_pattern.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

struct Case {
  const char* schema;
  std::vector<const char*> valid, invalid;
};

const Case kCases[] = {
    {R"({"properties": {"a": {"type": "integer"}}, "required": ["a"]})",
     {R"({"a": 1})", "3", "[]", "null"},
     {R"({"a": "x"})", "{}"}},
    {R"({"minimum": 2, "maxLength": 1})", {"2", R"("a")", "{}", "true"}, {"1", R"("ab")"}},
    {R"({"allOf": [{"properties": {"a": {"minimum": 2}}, "required": ["a"]}, {"type": "object",
        "properties": {"a": {"type": "integer", "maximum": 4}, "b": {"type": "null"}}, "additionalProperties": false}]})",
     {R"({"a": 2})", R"({"a": 4, "b": null})"},
     {"{}", R"({"a": 1})", R"({"a": 5})", R"({"a": 3, "c": 1})", "3"}},
    {R"({"type": "object", "properties": {"k": {"type": "string"}}, "required": ["k"],
        "anyOf": [{"properties": {"k": {"const": "x"}, "n": {"type": "integer"}}, "required": ["n"]},
                  {"properties": {"k": {"enum": ["y", "z"]}}}]})",
     {R"({"k": "x", "n": 1})", R"({"k": "z"})"},
     {R"({"k": "x"})", R"({"k": "w"})", "{}"}},
    {R"({"oneOf": [{"type": "number", "multipleOf": 3}, {"type": "string"}], "type": ["integer", "string"]})",
     {"6", R"("a")"},
     {"5", "null", "1.5"}},
    {R"({"$ref": "#/$defs/n", "maximum": 3, "$defs": {"n": {"type": "integer"}}})", {"3"}, {"4", "1.5"}},
    {R"({"allOf": [{"multipleOf": 4}, {"multipleOf": 6}], "type": "integer"})", {"0", "12"}, {"4", "6"}},
    {R"({"enum": [1, 2, 30, "a", "abc", {"b": 1}, {"b": "x"}], "maximum": 9, "maxLength": 2,
        "properties": {"b": {"type": "integer"}}})",
     {"1", "2", R"("a")", R"({"b": 1})"},
     {"30", R"("abc")", R"({"b": "x"})"}},
    {R"({"type": "string", "not": {"enum": ["", "ab", "abc", "\u00fc"]}})",
     {R"("a")", R"("abcd")", R"("b")", R"("\u00fcx")"},
     {R"("")", R"("ab")", R"("abc")", R"("\u00fc")", "1"}},
    {R"({"not": {"type": ["string", "number"]}})", {"null", "{}", "[]"}, {"1", R"("a")"}},
    {R"({"not": {"required": ["a"]}})", {"{}", R"({"b": 1})"}, {R"({"a": 1})", "3"}},
    {R"({"type": "integer", "not": {"minimum": 3}})", {"2"}, {"3"}},
    {R"({"not": {"anyOf": [{"type": "null"}, {"type": "boolean"}]}})", {"1"}, {"null", "true"}},
    {R"({"not": {"not": {"type": "null"}}})", {"null"}, {"1"}},
    {R"({"type": "boolean", "not": {"const": true}})", {"false"}, {"true"}},
    {R"({"type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "n": {"type": "integer"}},
        "required": ["kind"], "additionalProperties": false,
        "if": {"properties": {"kind": {"const": "a"}}}, "then": {"required": ["n"]}})",
     {R"({"kind": "a", "n": 1})", R"({"kind": "b"})"},
     {R"({"kind": "a"})", "{}"}},
    {R"({"type": "object", "dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"minProperties": 1, "required": ["d"]}}})",
     {"{}", R"({"a": 1, "b": 2})", R"({"c": 1, "d": 1})"},
     {R"({"a": 1})", R"({"c": 1})"}},
    {R"({"type": "object", "minProperties": 1})", {R"({"a": 1})"}, {"{}"}},
    {R"({"type": "object", "maxProperties": 0})", {"{}"}, {R"({"a": 1})"}},
    {R"({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"], "maxProperties": 1})",
     {R"({"b": 1})"},
     {"{}", R"({"b": 1, "a": 1})", R"({"b": 1, "c": 1})"}},
    {R"({"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": false, "minProperties": 2})",
     {R"({"a": 1, "b": 1})"},
     {R"({"a": 1})"}},
    {R"({"type": "array", "items": {"enum": [1, 2, 1.0, "x"]}, "uniqueItems": true, "minItems": 2})",
     {"[1, 2]", R"(["x", 2, 1])"},
     {"[1, 1]", "[1, 2, 1]", "[1]"}},
    {R"({"type": "array", "items": {"type": ["boolean", "null"]}, "uniqueItems": true})",
     {"[]", "[true, null, false]"},
     {"[true, true]"}},
    {R"({"type": "object", "properties": {"a": {"type": "integer"}, "zz": {}}, "propertyNames": {"maxLength": 1}})",
     {R"({"a": 1, "b": []})"},
     {R"({"a": "x"})", R"({"zz": 1})", R"({"cc": 1})"}},
    {R"({"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "integer"}})",
     {"{}", R"({"b": 1, "a": 2})"},
     {R"({"c": 1})", R"({"a": "x"})"}},
    {R"({"enum": [{"a": 1, "b": 2}, {"a": 3}], "not": {"const": {"b": 2, "a": 1}}})",
     {R"({"a":3})"},
     {R"({"a": 1, "b": 2})"}},
    {R"({"allOf": [{"const": {"a": 1, "b": [{"c": 2, "d": 3}]}}, {"const": {"b": [{"d": 3.0, "c": 2}], "a": 1}}]})",
     {R"({"a":1,"b":[{"c":2,"d":3}]})"},
     {"{}"}},
    {R"({"type": "object", "properties": {"a": false}})", {"{}", R"({"b": 1})"}, {R"({"a": 1})"}},
    {R"({"$defs": {"tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}},
                   "named": {"required": ["name"], "properties": {"name": {"type": "string", "maxLength": 2}}}},
        "allOf": [{"$ref": "#/$defs/tree"}, {"$ref": "#/$defs/named"}]})",
     {R"({"name": "a", "kids": [{}]})", R"({"kids": [{}], "name": "a"})"},
     {R"({"kids": []})", R"({"name": "a", "kids": [1]})"}},
};

TEST(Conjunction, JudgesWhatSchemasSayTogether) {
  for (const Case& one : kCases) {
    const auto schema = Schema::compile(ordered_json::parse(one.schema));
    for (const char* text : one.valid) {
      const auto violations = schema->validate_text(text);
      EXPECT_TRUE(violations.empty()) << one.schema << " refuses " << text << ": " << violations[0].what;
    }
    for (const char* text : one.invalid)
      EXPECT_FALSE(schema->validate_text(text).empty()) << one.schema << " takes " << text;
  }
}

TEST(Conjunction, WhatIsWrittenIsValidAndSomeOfItEnds) {
  std::mt19937_64 random(11);
  for (const Case& one : kCases) {
    const auto schema = Schema::compile(ordered_json::parse(one.schema));
    int ended = 0;
    for (int run = 0; run < 40; ++run) {
      PrefixMatcher matcher(schema);
      std::string text;
      while (text.size() < 400 && !(matcher.complete() && (matcher.finished() || random() % 2 == 0))) {
        std::vector<unsigned char> bytes;
        for (int byte = 0; byte < 256; ++byte) {
          if (!PrefixMatcher(matcher).accept(static_cast<unsigned char>(byte))) continue;
          const bool ends = std::string_view("\"]}:").find(static_cast<char>(byte)) != std::string_view::npos;
          bytes.insert(bytes.end(), ends ? 12 : 1, static_cast<unsigned char>(byte));
        }
        ASSERT_TRUE(!bytes.empty() || matcher.complete()) << one.schema << " leads nowhere from " << text;
        if (bytes.empty()) break;
        text += static_cast<char>(bytes[random() % bytes.size()]);
        matcher.accept(static_cast<unsigned char>(text.back()));
      }
      if (!matcher.complete()) continue;
      ++ended;
      EXPECT_TRUE(schema->validate_text(text).empty()) << one.schema << " leads to " << text;
    }
    EXPECT_GT(ended, 0) << one.schema;
  }
}

TEST(Conjunction, DocumentsThatAreUsualCanBeWritten) {
  for (const Case& one : kCases) {
    const auto schema = Schema::compile(ordered_json::parse(one.schema));
    const auto written = std::ranges::count_if(one.valid, [&](const char* text) {
      PrefixMatcher matcher(schema);
      return matcher.accept(text) == std::string_view(text).size() && matcher.complete();
    });
    EXPECT_GT(written, 0) << one.schema;
  }
}

/// Combinations of combinations, and values judged by much: done, or refused, soon.
TEST(Conjunction, WhatAnchorsAndUnevaluatedLookAtIsBounded) {
  ordered_json deep = {{"$anchor", "a"}};
  for (int i = 0; i < 200; ++i) deep = {{std::string(40'000, 'n'), deep}};
  EXPECT_THROW(Schema::compile(ordered_json{{"$defs", deep}, {"type", "null"}}), InputError);
  ordered_json defs = ordered_json::object();
  for (int i = 0; i < 5'000; ++i)
    defs["d" + std::to_string(i)] = {{"$ref", "#/$defs/d" + std::to_string(i + 1)}};
  defs["d5000"] = {{"type", "null"}};
  const ordered_json chain = {{"$ref", "#/$defs/d0"}, {"unevaluatedProperties", false}, {"$defs", defs}};
  EXPECT_THROW(Schema::compile(chain), InputError);
}

#ifdef __SANITIZE_ADDRESS__  // allocations take many times longer
constexpr std::chrono::seconds kInTime{60};
#else
constexpr std::chrono::seconds kInTime{5};
#endif

TEST(Conjunction, BombsAreRefusedInTime) {
  ordered_json alternatives = {{"allOf", ordered_json::array()}};
  for (int i = 0; i < 20; ++i) {
    ordered_json any = {{"anyOf", ordered_json::array()}};
    for (int k = 0; k < 5; ++k)
      any["anyOf"].push_back({{"properties", {{"p" + std::to_string(i), {{"const", k}}}}}});
    alternatives["allOf"].push_back(std::move(any));
  }
  ordered_json values = {{"enum", ordered_json::array()}, {"anyOf", ordered_json::array()}};
  for (int i = 0; i < 9000; ++i) values["enum"].push_back(i);
  for (int i = 0; i < 2000; ++i) values["anyOf"].push_back({{"multipleOf", 100'000 + i}});
  const ordered_json text = {{"type", "string"}, {"not", {{"const", std::string(100'000, 'a')}}}};
  ordered_json lists = {{"allOf", ordered_json::array()}};
  ordered_json unions = {{"properties", ordered_json::object()}};
  for (int list = 0; list < 2; ++list) {
    ordered_json many = ordered_json::array();
    for (int i = 0; i < 100'000; ++i) many.push_back(list * 1'000'000 + i);
    lists["allOf"].push_back({{"enum", many}});
    many.erase(many.begin() + 10'000, many.end());
    unions["$defs"][list == 0 ? "a" : "b"] = {{"enum", many}};
  }
  for (int i = 0; i < 100; ++i)
    unions["properties"]["p" + std::to_string(i)] = {
        {"oneOf", {{{"$ref", "#/$defs/a"}}, {{"$ref", "#/$defs/b"}}}}};
  for (const ordered_json& bomb : {alternatives, values, text, lists, unions}) {
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_THROW(Schema::compile(bomb), InputError);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, kInTime);
  }
}

TEST(Conjunction, WhatIsNoSchemaIsRefused) {
  for (const char* schema :
       {R"({"enum": [], "const": 1})", R"({"allOf": null, "type": "string"})",
        R"({"if": null, "type": "string"})", R"({"not": {"anyOf": {"x": {"type": "string"}}}})",
        R"({"enum": [{"a": 1, "b": 2}], "not": {"const": {"b": 2, "a": 1}}})"})
    EXPECT_THROW(Schema::compile(ordered_json::parse(schema)), InputError) << schema;
}

TEST(SchemaMerge, SaysWhatBothSay) {
  const auto merge = [](const char* a, const char* b) {
    return merged(ordered_json::parse(a), ordered_json::parse(b), "#");
  };
  EXPECT_EQ(merge(R"({"type": "number", "minimum": 1})", R"({"type": ["integer", "null"], "minimum": 3})"),
            ordered_json::parse(R"({"type": ["integer"], "minimum": 3})"));
  EXPECT_EQ(merge(R"({"enum": [1, 2]})", R"({"const": 2})"), ordered_json::parse(R"({"enum": [2]})"));
  EXPECT_EQ(merge(R"({"enum": [1, 2]})", R"({"const": 3})"), false);
  EXPECT_EQ(merge(R"({"prefixItems": [true]})", R"({"items": {"type": "null"}})"),
            ordered_json::parse(R"({"prefixItems": [{"type": "null"}], "items": {"type": "null"}})"));
  EXPECT_EQ(merge(R"({"title": "a", "pattern": "x"})", R"({"pattern": "x"})"),
            ordered_json::parse(R"({"pattern": "x"})"));
}

TEST(Negation, TurnsKeywordsAround) {
  const auto turned = [](const char* schema) { return negated(ordered_json::parse(schema), "#"); };
  EXPECT_EQ(turned("true"), false);
  EXPECT_EQ(turned(R"({"title": "all"})"), false);
  EXPECT_EQ(turned(R"({"minLength": 3})"), ordered_json::parse(R"({"type": "string", "maxLength": 2})"));
  EXPECT_EQ(turned(R"({"minLength": 0})"), false);
  EXPECT_EQ(turned(R"({"type": "string", "maximum": 3})"),
            ordered_json::parse(R"({"anyOf": [{"type": ["object", "array", "number", "boolean", "null"]},
                                              {"type": "number", "exclusiveMinimum": 3}]})"));
  EXPECT_THROW(turned(R"({"type": "integer"})"), InputError);
  EXPECT_THROW(turned(R"({"additionalProperties": false})"), InputError);
}

TEST(ExcludedTexts, AllOthersMatch) {
  const std::vector<std::string> texts = {"a", "a.b", "]", "", "größer"};
  const StringPattern pattern(regex_without(texts), false);
  for (const std::string& text : texts) EXPECT_FALSE(pattern.matches(text)) << text;
  for (const char* text : {"b", "a.", "axb", "a.bc", "gr", "größ", "größere", "[", "\n"})
    EXPECT_TRUE(pattern.matches(text)) << text;
}

}  // namespace
}  // namespace stepdown::schema
