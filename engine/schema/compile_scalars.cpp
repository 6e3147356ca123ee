#include <algorithm>

#include "engine/base/error.h"
#include "engine/schema/excluded_texts.h"
#include "engine/schema/number_bounds.h"
#include "engine/schema/schema_compiler.h"
#include "engine/schema/validator.h"
#include "engine/schema/value_set.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

/// A list, as `not` holds no other constraint here.
ordered_json excluded_values(const ordered_json& schema) {
  return schema.contains("not") ? schema["not"]["enum"] : ordered_json::array();
}

}  // namespace

bool excludes(const ordered_json& schema, std::string_view type) {
  return std::ranges::any_of(excluded_values(schema),
                             [type](const ordered_json& value) { return is_of_type(value, type); });
}

void SchemaCompiler::set_literals(Node& node, const std::vector<ordered_json>& values) {
  node.kind = values.empty() ? NodeKind::kAnyOf : NodeKind::kLiterals;
  node.literals = {};
  node.values.clear();
  for (const ordered_json& value : values) {
    const std::string text = value.dump();
    count_literal(text);
    node.literals.add(text);
    node.values.emplace_back(value);
  }
}

NodeId SchemaCompiler::literals(const std::vector<ordered_json>& values) {
  Node node;
  set_literals(node, values);
  return add(std::move(node));
}

/// A trie takes a hundred times the memory of its texts.
void SchemaCompiler::count_literal(const std::string& text) {
  constexpr std::size_t kMostBytes = 256 << 10;
  if ((literal_bytes_ += text.size()) > kMostBytes)
    throw InputError("the schema's names and values are too long together", "#",
                     "give fewer or shorter ones");
}

NodeId SchemaCompiler::named_values(const ordered_json& schema, std::string_view type) {
  std::vector<ordered_json> values = {nullptr};
  if (type == "boolean") values = {true, false};
  const ValueSet excluded(excluded_values(schema));
  std::erase_if(values, [&excluded](const ordered_json& value) { return excluded.contains(value); });
  return literals(values);
}

NodeId SchemaCompiler::enumerated(const ordered_json& schema, const std::vector<std::string>& types,
                                  const std::string& path) {
  ordered_json rule = schema;
  for (const char* keyword : {"enum", "const", "type", "not"}) rule.erase(keyword);
  if (schema.contains("enum") && !schema["enum"].is_array())
    throw InputError("'enum' must be a list", path + "/enum");
  std::vector<ordered_json> values;
  if (schema.contains("enum")) values = schema["enum"].get<std::vector<ordered_json>>();
  if (schema.contains("const")) {
    const bool listed = !schema.contains("enum") || ValueSet(schema["enum"]).contains(schema["const"]);
    if (!listed) return impossible("'const' is none of the values of 'enum'", path);
    values = {schema["const"]};
  }
  const ValueSet excluded(excluded_values(schema));
  std::erase_if(values, [&](const ordered_json& value) {
    const auto is_it = [&value](const std::string& type) { return is_of_type(value, type); };
    return (!types.empty() && std::ranges::none_of(types, is_it)) || excluded.contains(value);
  });
  if (values.empty()) return impossible("no value is left that 'enum' and 'type' allow", path);
  const NodeId node = literals(values);
  const bool ruled =
      std::ranges::any_of(rule.items(), [](const auto& entry) { return is_constraint(entry.key()); });
  if (ruled) filters_.push_back({node, flat(rule, path, true)});
  return node;
}

// Values that are left may be what others of a schema that refers to itself are judged by, so until none
// leaves.
void SchemaCompiler::filter_values() {
  std::size_t steps = 3'000'000;
  for (bool changed = true; changed;) {
    changed = false;
    for (const Filter& filter : filters_) {
      std::vector<nlohmann::json> left = grammar_[filter.values].values;
      std::erase_if(left, [&](const auto& value) { return !is_valid(grammar_, filter.rule, value, steps); });
      if (left.size() == grammar_[filter.values].values.size()) continue;
      changed = true;
      set_literals(grammar_.nodes[static_cast<std::size_t>(filter.values)], {left.begin(), left.end()});
    }
  }
}

NodeId SchemaCompiler::number(const ordered_json& schema, bool integer, const std::string& path) {
  if (excludes(schema, integer ? "integer" : "number"))
    throw InputError("numbers in 'not' are supported only beside 'enum'", path + "/not",
                     "say what is valid instead");
  std::optional<Node> node = number_node(schema, integer, path);
  return node ? add(std::move(*node)) : impossible("no number lies between the bounds", path);
}

NodeId SchemaCompiler::string(const ordered_json& schema, const std::string& path) {
  Node node;
  node.kind = NodeKind::kString;
  node.least = count_of(schema, "minLength", 0, path);
  node.most = count_of(schema, "maxLength", kUnbounded, path);
  if (node.least > node.most) return impossible("minLength is above maxLength", path);
  StringRules rules = pattern_of(schema, path);
  const bool sized = schema.contains("minLength") || schema.contains("maxLength");
  std::string where = path + (schema.contains("pattern") ? "/pattern" : "/format");
  if (excludes(schema, "string")) {
    where = path + "/not";
    if (sized || !rules.meant.empty())
      throw InputError("texts in 'not' beside a pattern, a format or a length are not supported", where,
                       "say what is valid by one pattern");
    std::vector<std::string> texts;
    for (const ordered_json& value : excluded_values(schema)) {
      if (value.is_string()) texts.push_back(value.get<std::string>());
    }
    try {
      rules.meant = rules.written = regex_without(texts);
    } catch (const InputError& error) {
      throw InputError(error.what(), where);
    }
  }
  if (rules.meant.empty()) return add(std::move(node));
  if (sized) {
    throw InputError("minLength and maxLength beside a pattern are not supported", path,
                     "write the bounds into the pattern: {m,n}");
  }
  const Pattern pattern = automata_at(rules, where);
  node.written = pattern.written;
  node.meant = pattern.meant;
  return add(std::move(node));
}

SchemaCompiler::Pattern SchemaCompiler::automata_at(const StringRules& rules, const std::string& where) {
  try {
    return automata_of(rules);
  } catch (const InputError& error) {
    throw InputError(error.what(), where);
  }
}

/// Once for all strings of one pattern: each state takes a kilobyte.
SchemaCompiler::Pattern SchemaCompiler::automata_of(const StringRules& rules) {
  constexpr std::size_t kMostStates = 16'000;
  if (const auto known = patterns_.find(rules.meant); known != patterns_.end()) return known->second;
  Pattern pattern{std::make_shared<const StringPattern>(rules.written, true),
                  std::make_shared<const StringPattern>(rules.meant, false)};
  if ((pattern_states_ += pattern.written->size() + pattern.meant->size()) > kMostStates)
    throw InputError("with those before it the schema's patterns are too large", "", "simplify them");
  return patterns_.emplace(rules.meant, std::move(pattern)).first->second;
}

}  // namespace stepdown::schema
