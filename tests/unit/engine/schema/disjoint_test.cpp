#include "engine/schema/disjoint.h"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/schema/schema.h"

namespace stepdown::schema {
namespace {

std::shared_ptr<const Schema> one_of(const std::string& alternatives) {
  return Schema::compile(nlohmann::ordered_json::parse(R"({"oneOf": [)" + alternatives + "]}"));
}

TEST(OneOf, AlternativesThatExcludeEachOtherAreAccepted) {
  for (
      const char* alternatives :
      {R"({"type": "string"}, {"type": "integer"}, {"type": "null"}, {"type": "array"})",
       R"({"enum": ["a", "b"]}, {"const": "c"}, {"type": "boolean"})",
       R"({"enum": [1, "long"]}, {"type": "string", "maxLength": 3})",
       R"({"type": "integer", "maximum": 5}, {"type": "number", "exclusiveMinimum": 5})",
       R"({"type": "string", "maxLength": 2}, {"type": "string", "minLength": 3})",
       R"({"type": "array", "maxItems": 1}, {"type": "array", "minItems": 2})",
       R"({"type": "array", "minItems": 1, "items": {"type": "string"}}, {"type": "array", "minItems": 1, "items": {"type": "null"}})",
       R"({"type": "object", "properties": {"kind": {"const": "cat"}}, "required": ["kind"]},
           {"type": "object", "properties": {"kind": {"const": "dog"}, "name": {"type": "string"}}, "required": ["kind"]})",
       R"({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false},
           {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]})",
       R"({"type": "string"}, {"anyOf": [{"type": "null"}, {"type": "boolean"}]})"}) {
    EXPECT_NO_THROW(one_of(alternatives)) << alternatives;
  }
}

TEST(OneOf, AlternativesThatMightBothHoldAreRefusedByPath) {
  for (
      const char* alternatives :
      {R"({"type": "number"}, {"type": "integer"})", R"({"type": "string"}, {"const": "a"})",
       R"({"type": "object"}, {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]})",
       R"({"type": "object", "properties": {"kind": {"const": "cat"}}}, {"type": "object", "properties": {"kind": {"const": "dog"}}})",
       R"({"type": "array", "items": {"type": "string"}}, {"type": "array", "items": {"type": "null"}})",
       R"(true, {"type": "null"})"}) {
    try {
      one_of(alternatives);
      ADD_FAILURE() << alternatives;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("#/oneOf"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("might be valid for both 0 and 1"), std::string::npos)
          << error.what();
    }
  }
}

TEST(OneOf, CirclesEnd) {
  const auto schema = nlohmann::ordered_json::parse(R"({"$defs": {"t": {"oneOf": [{"type": "null"},
      {"type": "object", "properties": {"next": {"$ref": "#/$defs/t"}}, "required": ["next"], "additionalProperties": false}]}}, "$ref": "#/$defs/t"})");
  EXPECT_TRUE(Schema::compile(schema)->validate_text(R"({"next": {"next": null}})").empty());
}

}  // namespace
}  // namespace stepdown::schema
