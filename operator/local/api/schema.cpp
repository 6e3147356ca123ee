#include "operator/local/api/schema.h"

#include <utility>

#include "operator/local/api/cel/program.h"

namespace stepdown::local::api {
namespace {

constexpr std::string_view kReferencePrefix = "#/components/schemas/";

bool flag(const Json& source, const char* key) {
  const auto it = source.find(key);
  return it != source.end() && it->is_boolean() && it->get<bool>();
}

std::string text(const Json& source, const char* key) {
  const auto it = source.find(key);
  return it != source.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::vector<std::string> texts(const Json& source, const char* key) {
  std::vector<std::string> out;
  const auto it = source.find(key);
  if (it == source.end() || !it->is_array()) return out;
  for (const Json& entry : *it) {
    if (entry.is_string()) out.push_back(entry.get<std::string>());
  }
  return out;
}

std::optional<double> number(const Json& source, const char* key) {
  const auto it = source.find(key);
  if (it == source.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}

std::optional<std::uint64_t> count(const Json& source, const char* key) {
  const auto it = source.find(key);
  if (it == source.end() || !it->is_number_integer() || it->get<std::int64_t>() < 0) return std::nullopt;
  return it->get<std::uint64_t>();
}

std::vector<Rule> rules_of(const Json& source) {
  std::vector<Rule> rules;
  const auto it = source.find("x-kubernetes-validations");
  if (it == source.end() || !it->is_array()) return rules;
  for (const Json& entry : *it) {
    Rule rule;
    rule.text = text(entry, "rule");
    rule.program = std::make_shared<cel::Program>(cel::Program::compile(rule.text));
    rule.message = text(entry, "message");
    rule.reason = text(entry, "reason");
    rule.field_path = text(entry, "fieldPath");
    rule.optional_old_self = flag(entry, "optionalOldSelf");
    if (const std::string expression = text(entry, "messageExpression"); !expression.empty()) {
      rule.message_expression = std::make_shared<cel::Program>(cel::Program::compile(expression));
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace

const Schema* Schema::member(std::string_view key) const {
  if (const auto it = properties.find(key); it != properties.end()) return it->second;
  return additional;
}

const Schema* SchemaSet::named(const std::string& name) {
  if (const auto it = by_name_.find(name); it != by_name_.end()) return it->second;
  Schema& schema = schemas_.emplace_back();
  by_name_[name] = &schema;
  const auto it = definitions_->find(name);
  if (it == definitions_->end()) throw internal_error("schema " + name + " is missing");
  unfinished_.insert(&schema);
  fill(schema, *it);
  unfinished_.erase(&schema);
  settle();
  return &schema;
}

void SchemaSet::settle() {
  if (!unfinished_.empty()) return;
  for (const Deferred& late : std::exchange(deferred_, {})) {
    *late.schema = *late.base;
    overlay(*late.schema, late.source);
  }
}

const Schema* SchemaSet::compile(const Json& source) {
  if (!source.is_object()) throw bad_request("a schema must be an object");
  const std::string reference = text(source, "$ref");
  if (reference.starts_with(kReferencePrefix) && source.size() == 1) {
    return named(reference.substr(kReferencePrefix.size()));
  }
  Schema& schema = schemas_.emplace_back();
  fill(schema, source);
  return &schema;
}

void SchemaSet::fill(Schema& schema, const Json& source) {
  // A reference with a default or an extension beside it: the named schema with these on top.
  std::string reference = text(source, "$ref");
  if (reference.empty() && source.contains("allOf") && source["allOf"].is_array() &&
      source["allOf"].size() == 1) {
    reference = text(source["allOf"].front(), "$ref");
  }
  if (!reference.starts_with(kReferencePrefix)) return overlay(schema, source);
  const Schema* base = named(reference.substr(kReferencePrefix.size()));
  Json rest = source;
  rest.erase("$ref");
  rest.erase("allOf");
  if (unfinished_.contains(base)) {
    deferred_.push_back({&schema, base, std::move(rest)});
    return;
  }
  schema = *base;
  overlay(schema, rest);
}

void SchemaSet::overlay(Schema& schema, const Json& source) {
  if (const std::string type = text(source, "type"); !type.empty()) schema.type = type;
  if (const std::string format = text(source, "format"); !format.empty()) schema.format = format;
  schema.int_or_string |= flag(source, "x-kubernetes-int-or-string") || schema.format == "int-or-string";
  schema.preserve_unknown |= flag(source, "x-kubernetes-preserve-unknown-fields");
  schema.embedded_resource |= flag(source, "x-kubernetes-embedded-resource");
  schema.nullable |= flag(source, "nullable");
  schema.atomic_map |= text(source, "x-kubernetes-map-type") == "atomic";
  const std::string list_type = text(source, "x-kubernetes-list-type");
  if (list_type == "map") schema.list_type = ListType::kMap;
  if (list_type == "set") schema.list_type = ListType::kSet;
  if (auto keys = texts(source, "x-kubernetes-list-map-keys"); !keys.empty())
    schema.map_keys = std::move(keys);
  if (auto key = text(source, "x-kubernetes-patch-merge-key"); !key.empty())
    schema.patch_merge_key = std::move(key);
  const std::string strategy = text(source, "x-kubernetes-patch-strategy");
  schema.patch_merge |= strategy.find("merge") != std::string::npos;
  schema.patch_retain_keys |= strategy.find("retainKeys") != std::string::npos;
  if (source.contains("default")) schema.default_value = source["default"];
  if (auto required = texts(source, "required"); !required.empty()) schema.required = std::move(required);
  if (source.contains("enum") && source["enum"].is_array()) {
    schema.enumeration.assign(source["enum"].begin(), source["enum"].end());
  }
  schema.pattern_text = text(source, "pattern");
  if (!schema.pattern_text.empty()) schema.pattern = Regex(schema.pattern_text);
  schema.minimum = number(source, "minimum");
  schema.maximum = number(source, "maximum");
  schema.multiple_of = number(source, "multipleOf");
  schema.exclusive_minimum = flag(source, "exclusiveMinimum");
  schema.exclusive_maximum = flag(source, "exclusiveMaximum");
  schema.min_length = count(source, "minLength");
  schema.max_length = count(source, "maxLength");
  schema.min_items = count(source, "minItems");
  schema.max_items = count(source, "maxItems");
  schema.min_properties = count(source, "minProperties");
  schema.max_properties = count(source, "maxProperties");
  schema.unique_items = flag(source, "uniqueItems");
  if (source.contains("properties") && source["properties"].is_object()) {
    for (const auto& [name, member] : source["properties"].items()) schema.properties[name] = compile(member);
  }
  if (source.contains("items") && source["items"].is_object()) schema.items = compile(source["items"]);
  if (source.contains("additionalProperties")) {
    const Json& additional = source["additionalProperties"];
    if (additional.is_object()) schema.additional = compile(additional);
    if (additional.is_boolean() && additional.get<bool>()) schema.preserve_unknown = true;
  }
  const auto compile_all = [this](const Json* list, std::vector<const Schema*>& out) {
    if (list == nullptr || !list->is_array()) return;
    for (const Json& entry : *list) out.push_back(compile(entry));
  };
  if (source.contains("allOf")) compile_all(&source["allOf"], schema.all_of);
  if (source.contains("anyOf")) compile_all(&source["anyOf"], schema.any_of);
  if (source.contains("oneOf")) compile_all(&source["oneOf"], schema.one_of);
  if (source.contains("not")) schema.negated = compile(source["not"]);
  if (auto rules = rules_of(source); !rules.empty()) schema.rules = std::move(rules);
}

}  // namespace stepdown::local::api
