#include <algorithm>

#include "engine/base/error.h"
#include "engine/schema/json_pointer.h"
#include "engine/schema/schema_compiler.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

/// All values of a rule that has few, none twice; nothing for others.
std::optional<std::vector<nlohmann::json>> finite_values(const Grammar& grammar, NodeId rule) {
  const Node& node = grammar[rule];
  std::vector<nlohmann::json> values = node.values;
  if (node.kind != NodeKind::kLiterals && node.kind != NodeKind::kAnyOf) return std::nullopt;
  for (const NodeId alternative : node.alternatives) {
    const auto more = finite_values(grammar, alternative);
    if (!more) return std::nullopt;
    values.insert(values.end(), more->begin(), more->end());
  }
  std::ranges::sort(values);
  const auto twice = std::ranges::unique(values);
  values.erase(twice.begin(), twice.end());
  return values;
}

}  // namespace

NodeId SchemaCompiler::object(const ordered_json& schema, const std::string& path) {
  if (excludes(schema, "object")) throw InputError("objects in 'not' are not supported", path + "/not");
  Node node;
  node.kind = NodeKind::kObject;
  add_properties(schema, node, path);
  std::set<std::string> required = names_of(schema, path);
  for (Node::Property& property : node.properties) property.required = required.erase(property.name) > 0;
  for (const std::string& name : required) {  // it comes, and is what others may be
    const bool allowed = node.additional != kNoNode && (!node.names_meant || node.names_meant->matches(name));
    if (!allowed && !merged_)
      throw InputError("'" + name + "' is required but not allowed", path + "/required",
                       "add it to 'properties'");
    add_property(node, {name, allowed ? node.additional : never(), true});
  }
  if (!count_properties(schema, node, path))
    return impossible("no object has as few and as many properties", path);
  return add(std::move(node));
}

void SchemaCompiler::add_properties(const ordered_json& schema, Node& node, const std::string& path) {
  const ordered_json properties = schema.value("properties", ordered_json::object());
  if (!properties.is_object()) throw InputError("'properties' must be an object", path + "/properties");
  for (const auto& [name, value] : properties.items())
    add_property(node, {name, compile(value, path + "/properties/" + escape_pointer(name)), false});
  const auto [keyword, rest] = rest_of(schema, "additionalProperties", "unevaluatedProperties");
  if (rest != false) node.additional = compile(rest, path + "/" + keyword);
  if (schema.contains("patternProperties")) pattern_properties(schema, node, path);
  if (schema.contains("propertyNames")) property_names(schema, node, path);
}

/// One pattern, whose names are all that may stand beside the declared ones: then each name has one rule.
void SchemaCompiler::pattern_properties(const ordered_json& schema, Node& node, const std::string& path) {
  const std::string at = path + "/patternProperties";
  const ordered_json& patterns = schema["patternProperties"];
  if (!patterns.is_object()) throw InputError("'patternProperties' must be an object", at);
  if (patterns.empty()) return;
  if (patterns.size() > 1)
    throw InputError("several patterns are not supported", at,
                     "join them with '|' where they ask for the same");
  if (node.additional != kNoNode || schema.contains("propertyNames"))
    throw InputError("other names beside those of a pattern are not supported", at,
                     "write \"additionalProperties\": false");
  const auto pattern = patterns.begin();
  node.additional = compile(pattern.value(), at + "/" + escape_pointer(pattern.key()));
  set_names(node, {pattern.key(), pattern.key()}, at);
  for (Node::Property& property : node.properties) {  // one that fits the pattern too is what both say
    if (!node.names_meant->matches(property.name)) continue;
    const ordered_json& declared = schema["properties"][property.name];
    property.value = compile({{"allOf", ordered_json::array({declared, pattern.value()})}},
                             path + "/properties/" + escape_pointer(property.name));
  }
}

/// Names that fit a pattern, or are some of a list.
void SchemaCompiler::property_names(const ordered_json& schema, Node& node, const std::string& path) {
  const std::string at = path + "/propertyNames";
  const ordered_json& names = schema["propertyNames"];
  if (names == true) return;
  if (!names.is_object() && names != false) throw InputError("a schema must be an object", at);
  const auto forbid = [&](const auto& allowed) {
    for (Node::Property& property : node.properties) {
      if (!allowed(property.name)) property.value = never();
    }
  };
  if (names == false) {
    forbid([](const std::string&) { return false; });
    node.additional = kNoNode;
    return;
  }
  check_keywords(names, at);
  const auto only = only_constraint(names);
  if (only == "enum" || only == "const") {
    const ordered_json list = only == "const" ? ordered_json::array({names["const"]}) : names["enum"];
    if (!list.is_array()) throw InputError("'enum' must be a list", at + "/enum");
    forbid(
        [&list](const std::string& name) { return std::find(list.begin(), list.end(), name) != list.end(); });
    for (const ordered_json& name : list) {
      const bool known = !name.is_string() ||
                         std::ranges::find(node.properties, name.get<std::string>(), &Node::Property::name) !=
                             node.properties.end();
      if (!known && node.additional != kNoNode)
        add_property(node, {name.get<std::string>(), node.additional, false});
    }
    node.additional = kNoNode;
    return;
  }
  refuse_keywords_of_other_types(names, {"string"}, at);
  const StringRules rules = name_rules(names, at);
  if (rules.meant.empty())
    throw InputError("only a pattern, a length or a list of names is supported", at,
                     "list the names in 'properties'");
  set_names(node, rules, at);
  forbid([&node](const std::string& name) { return node.names_meant->matches(name); });
}

void SchemaCompiler::set_names(Node& node, const StringRules& rules, const std::string& where) {
  const Pattern pattern = automata_at(rules, where);
  node.names_written = pattern.written;
  node.names_meant = pattern.meant;
}

void SchemaCompiler::add_property(Node& node, Node::Property property) {
  const std::string written = ordered_json(property.name).dump();
  count_literal(written);
  node.literals.add(std::string_view(written).substr(1, written.size() - 2));
  node.properties.push_back(std::move(property));
}

/// As far as it can be said without counting: nothing, some, all.
bool SchemaCompiler::count_properties(const ordered_json& schema, Node& node, const std::string& path) {
  const auto declared = static_cast<std::int64_t>(node.properties.size());
  const std::int64_t required = std::ranges::count(node.properties, true, &Node::Property::required);
  const std::int64_t least = count_of(schema, "minProperties", 0, path);
  const std::int64_t most = count_of(schema, "maxProperties", kUnbounded, path);
  if (most < std::max(required, least)) return false;
  if (most == required) {
    for (Node::Property& property : node.properties) {
      if (!property.required) property.value = never();
    }
    node.additional = kNoNode;
  } else if (node.additional != kNoNode ? most != kUnbounded : most < declared) {
    throw InputError("'maxProperties' is supported only where so many are required", path + "/maxProperties",
                     "require them, or declare no more");
  }
  if (least <= required) return true;
  if (least == 1) {
    node.least = 1;
    return declared > 0 || node.additional != kNoNode;
  }
  if (node.additional != kNoNode || least < declared)
    throw InputError("'minProperties' above 1 is supported only where all of them are declared",
                     path + "/minProperties", "require the properties that must come");
  for (Node::Property& property : node.properties) property.required = true;
  return least <= declared;
}

NodeId SchemaCompiler::array(const ordered_json& schema, const std::string& path) {
  Node node;
  node.kind = NodeKind::kArray;
  const ordered_json prefix = schema.value("prefixItems", ordered_json::array());
  if (!prefix.is_array()) throw InputError("'prefixItems' must be a list", path + "/prefixItems");
  for (std::size_t i = 0; i < prefix.size(); ++i)
    node.prefix.push_back(compile(prefix[i], path + "/prefixItems/" + std::to_string(i)));
  const auto [keyword, items] = rest_of(schema, "items", "unevaluatedItems");
  if (items.is_array())
    throw InputError("a list in 'items' is an older draft's", path + "/items", "write 'prefixItems'");
  if (items != false) node.items = compile(items, path + "/" + keyword);
  node.least = count_of(schema, "minItems", 0, path);
  node.most = count_of(schema, "maxItems", kUnbounded, path);
  if (node.items == kNoNode) node.most = std::min(node.most, static_cast<std::int64_t>(prefix.size()));
  if (!add_contains(schema, items, node, path) || node.least > node.most)
    return impossible("no list is long enough and short enough", path);
  if (excludes(schema, "array")) throw InputError("lists in 'not' are not supported", path + "/not");
  const ordered_json unique = schema.value("uniqueItems", ordered_json(false));
  if (!unique.is_boolean()) throw InputError("'uniqueItems' must be true or false", path + "/uniqueItems");
  if (unique == false || node.most <= 1) return add(std::move(node));
  if (node.contains != kNoNode)
    throw InputError("'contains' beside 'uniqueItems' is not supported", path, "leave one out");
  if (!prefix.empty())
    throw InputError("'uniqueItems' beside 'prefixItems' is not supported", path,
                     "give all items one 'enum'");
  uniques_.push_back({add(std::move(node)), path + "/uniqueItems"});
  return uniques_.back().list;
}

bool SchemaCompiler::add_contains(const ordered_json& schema, const ordered_json& items, Node& node,
                                  const std::string& path) {
  if (!schema.contains("contains")) return true;
  constexpr std::int64_t kMost = 32;  // each count is a reading of its own
  const std::string at = path + "/contains";
  const std::int64_t least = count_of(schema, "minContains", 1, path);
  const std::int64_t most = count_of(schema, "maxContains", kUnbounded, path);
  if (least > kMost || (most != kUnbounded && most > kMost))
    throw InputError("counts above " + std::to_string(kMost) + " are not supported", at, "ask for fewer");
  if (!node.prefix.empty() || (!schema.contains("items") && schema.contains("unevaluatedItems")))
    throw InputError("'contains' beside 'prefixItems' or 'unevaluatedItems' is not supported", at,
                     "give all items one schema");
  if (least > most) return false;
  if (node.items == kNoNode) return least == 0;
  node.contains = compile(schema["contains"], at);
  node.counted = compile({{"allOf", ordered_json::array({items, schema["contains"]})}}, at);
  node.other = node.items;
  node.least_contained = static_cast<std::int32_t>(least);
  node.least = std::max(node.least, least);
  if (most == kUnbounded) return true;
  node.most_contained = static_cast<std::int32_t>(most);
  try {
    node.other = compile({{"allOf", ordered_json::array({items, {{"not", schema["contains"]}}})}}, at);
  } catch (const InputError& error) {
    throw InputError(
        std::string("items that 'maxContains' counts cannot be told from others: ") + error.what(),
        path + "/maxContains", "leave it out, or give 'contains' a 'type'");
  }
  return true;
}

void SchemaCompiler::list_choices() {
  for (const Unique& unique : uniques_) {
    const NodeId items = grammar_[unique.list].items;
    const auto values = finite_values(grammar_, items);
    constexpr std::size_t kMost = 31;  // one bit each of a frame's mark
    if (!values || values->size() > kMost)
      throw InputError("'uniqueItems' is supported only for items of at most 31 values", unique.path,
                       "give the items an 'enum'");
    std::vector<NodeId> choices;
    for (const nlohmann::json& value : *values) choices.push_back(literals({ordered_json(value)}));
    Node& list = grammar_.nodes[static_cast<std::size_t>(unique.list)];
    list.most = std::min(list.most, static_cast<std::int64_t>(choices.size()));
    list.choices = std::move(choices);
    if (list.least > list.most) list = Node();
  }
}

}  // namespace stepdown::schema
