#include "engine/schema/compiler.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "engine/schema/alternatives.h"
#include "engine/schema/disjoint.h"
#include "engine/schema/grammar_checks.h"
#include "engine/schema/keywords.h"
#include "engine/schema/number_bounds.h"
#include "engine/schema/validator.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

std::string escape_pointer(std::string_view key) {
  std::string out;
  for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

bool nests_beyond(const ordered_json& value, int levels) {
  if (!value.is_structured()) return false;
  return levels == 0 || std::ranges::any_of(value, [levels](const ordered_json& child) {
           return nests_beyond(child, levels - 1);
         });
}

class Compiler {
 public:
  explicit Compiler(const ordered_json& root) : root_(root) {}

  std::shared_ptr<const Grammar> run() {
    constexpr int kDeepestJson = 300;  // recursion below, and dump()'s, stay far from the stack's end
    if (nests_beyond(root_, kDeepestJson)) throw InputError("the schema is nested too deeply", "#");
    grammar_.root = compile(root_, "#");
    check_grammar(grammar_);
    flatten_alternatives(grammar_);
    for (const OneOf& each : one_ofs_) check_exclusive(each);
    return std::make_shared<const Grammar>(std::move(grammar_));
  }

  std::shared_ptr<const Grammar> run_any_object() {
    Node object;
    object.kind = NodeKind::kObject;
    object.additional = any();
    grammar_.root = add(std::move(object));
    check_grammar(grammar_);
    flatten_alternatives(grammar_);
    return std::make_shared<const Grammar>(std::move(grammar_));
  }

 private:
  struct OneOf {
    std::vector<NodeId> alternatives;
    std::string path;
  };

  /// Documents are followed by the first alternative that fits; that no other fits too must be certain.
  void check_exclusive(const OneOf& one_of) const {
    const auto both = overlapping(grammar_, one_of.alternatives);
    if (!both) return;
    throw InputError("a document might be valid for both " + std::to_string(both->first) + " and " +
                         std::to_string(both->second),
                     one_of.path,
                     "write 'anyOf', or give both a required property whose 'const' tells them apart");
  }

  NodeId add(Node node) {
    constexpr std::size_t kMostNodes = 20'000;
    if (grammar_.nodes.size() >= kMostNodes) throw InputError("the schema is too large", "#");
    grammar_.nodes.push_back(std::move(node));
    return static_cast<NodeId>(grammar_.nodes.size() - 1);
  }

  NodeId any_of(std::vector<NodeId> alternatives) {
    if (alternatives.size() == 1) return alternatives[0];
    Node node;
    node.alternatives = std::move(alternatives);
    return add(std::move(node));
  }

  NodeId of_kind(NodeKind kind) {
    Node node;
    node.kind = kind;
    return add(std::move(node));
  }

  /// A trie takes a hundred times the memory of its texts.
  void count_literal(const std::string& text) {
    constexpr std::size_t kMostBytes = 256 << 10;
    if ((literal_bytes_ += text.size()) > kMostBytes)
      throw InputError("the schema's names and values are too long together", "#",
                       "give fewer or shorter ones");
  }

  NodeId literals(const std::vector<ordered_json>& values) {
    Node node;
    node.kind = NodeKind::kLiterals;
    for (const ordered_json& value : values) {
      const std::string text = value.dump();
      count_literal(text);
      node.literals.add(text);
      node.values.emplace_back(value);
    }
    return add(std::move(node));
  }

  /// Any JSON value.
  NodeId any() {
    if (any_ != kNoNode) return any_;
    any_ = add({});
    Node object;
    object.kind = NodeKind::kObject;
    object.additional = any_;
    Node array;
    array.kind = NodeKind::kArray;
    array.items = any_;
    std::vector<NodeId> all = {add(std::move(object)), add(std::move(array)), of_kind(NodeKind::kString),
                               of_kind(NodeKind::kNumber),
                               literals(std::vector<ordered_json>{true, false, nullptr})};
    grammar_.nodes[static_cast<std::size_t>(any_)].alternatives = std::move(all);
    return any_;
  }

  NodeId compile(const ordered_json& schema, const std::string& path) {
    constexpr int kDeepestSchema = 100;
    if (schema == true) return any();
    if (schema == false) throw InputError("'false' admits no document", path);
    if (!schema.is_object()) throw InputError("a schema must be an object", path);
    if (++depth_ > kDeepestSchema) throw InputError("the schema is nested too deeply", path);
    const NodeId node = compile_object(schema, path);
    --depth_;
    return node;
  }

  NodeId compile_object(const ordered_json& schema, const std::string& path) {
    check_keywords(schema, path);
    for (const std::string_view combinator : {"$ref", "anyOf", "oneOf", "allOf"}) {
      if (!schema.contains(combinator)) continue;
      refuse_siblings(schema, combinator, path);
      if (combinator == "$ref") return reference(schema, path);
      return combine(schema[std::string(combinator)], std::string(combinator),
                     path + "/" + std::string(combinator));
    }
    const std::vector<std::string> types = types_of(schema, path);
    if (schema.contains("enum") || schema.contains("const")) return enumerated(schema, types, path);
    if (types.empty()) {
      if (const auto keyword = first_constraint(schema)) {
        throw InputError("'" + *keyword + "' without 'type'", path,
                         "say which type it is about, e.g. \"type\": \"object\"");
      }
      return any();
    }
    refuse_keywords_of_other_types(schema, types, path);
    std::vector<NodeId> alternatives;
    alternatives.reserve(types.size());
    for (const std::string& type : types) alternatives.push_back(of_type(schema, type, path));
    return any_of(std::move(alternatives));
  }

  NodeId of_type(const ordered_json& schema, std::string_view type, const std::string& path) {
    if (type == "object") return object(schema, path);
    if (type == "array") return array(schema, path);
    if (type == "string") return string(schema, path);
    if (type == "integer" || type == "number") return add(number_node(schema, type == "integer", path));
    if (type == "boolean") return literals(std::vector<ordered_json>{true, false});
    return literals(std::vector<ordered_json>(1));
  }

  NodeId reference(const ordered_json& schema, const std::string& path) {
    const ordered_json& target = schema["$ref"];
    if (!target.is_string() || !target.get<std::string>().starts_with('#')) {
      throw InputError("only references within the schema are supported", path + "/$ref",
                       "write \"#/$defs/NAME\"");
    }
    const auto text = target.get<std::string>();
    if (const auto known = references_.find(text); known != references_.end()) return known->second;
    const ordered_json* found = nullptr;
    try {
      found = &root_.at(ordered_json::json_pointer(text.substr(1)));
    } catch (const ordered_json::exception&) {
      throw InputError("'" + text + "' names nothing", path + "/$ref");
    }
    // Reserved first, so that the target may refer to itself.
    const NodeId reserved = references_.emplace(text, add({})).first->second;
    const NodeId node = compile(*found, text);
    grammar_.nodes[static_cast<std::size_t>(reserved)].alternatives = {node};
    return reserved;
  }

  NodeId combine(const ordered_json& list, const std::string& keyword, const std::string& path) {
    if (!list.is_array() || list.empty())
      throw InputError("'" + keyword + "' must be a list of schemas", path);
    if (keyword == "allOf" && list.size() > 1)
      throw InputError("'allOf' of several schemas is not supported", path, "merge them into one");
    std::vector<NodeId> alternatives;
    for (std::size_t i = 0; i < list.size(); ++i)
      alternatives.push_back(compile(list[i], path + "/" + std::to_string(i)));
    if (keyword == "oneOf") one_ofs_.push_back({alternatives, path});
    return any_of(std::move(alternatives));
  }

  NodeId enumerated(const ordered_json& schema, const std::vector<std::string>& types,
                    const std::string& path) {
    for (const auto& [key, value] : schema.items()) {
      if (is_constraint(key) && key != "enum" && key != "const" && key != "type") {
        throw InputError("'" + key + "' beside 'enum' or 'const' is not supported", path,
                         "leave out the values that it forbids");
      }
    }
    std::vector<ordered_json> values;
    if (schema.contains("const")) {
      if (schema.contains("enum")) throw InputError("'enum' beside 'const'", path, "keep one");
      values = {schema["const"]};
    } else {
      if (!schema["enum"].is_array()) throw InputError("'enum' must be a list", path + "/enum");
      values = schema["enum"].get<std::vector<ordered_json>>();
    }
    std::erase_if(values, [&types](const ordered_json& value) {
      return !types.empty() && std::ranges::none_of(types, [&value](const std::string& type) {
        return is_of_type(value, type);
      });
    });
    if (values.empty()) throw InputError("no value is left that 'enum' and 'type' allow", path);
    return literals(values);
  }

  NodeId object(const ordered_json& schema, const std::string& path) {
    std::set<std::string> required = names_of(schema, path);
    const ordered_json properties = schema.value("properties", ordered_json::object());
    if (!properties.is_object()) throw InputError("'properties' must be an object", path + "/properties");
    Node node;
    node.kind = NodeKind::kObject;
    for (const auto& [name, value] : properties.items()) {
      add_property(node, {name, compile(value, path + "/properties/" + escape_pointer(name)),
                          required.erase(name) > 0});
    }
    const auto [keyword, rest] = rest_of(schema, "additionalProperties", "unevaluatedProperties");
    if (rest != false) node.additional = compile(rest, path + "/" + keyword);
    if (schema.contains("patternProperties")) pattern_properties(schema, node, path);
    if (schema.contains("propertyNames")) property_names(schema, node, path);
    for (const std::string& name : required) {  // it comes, and is what others may be
      if (node.additional == kNoNode || node.names_meant)
        throw InputError("'" + name + "' is required but not allowed", path + "/required",
                         "add it to 'properties'");
      add_property(node, {name, node.additional, true});
    }
    return add(std::move(node));
  }

  /// One pattern, whose names are all that may stand beside the declared ones: then each name has one rule.
  void pattern_properties(const ordered_json& schema, Node& node, const std::string& path) {
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
    for (const Node::Property& property : node.properties) {
      if (node.names_meant->matches(property.name))
        throw InputError("'" + property.name + "' is a property and fits the pattern too", at, "keep one");
    }
  }

  void property_names(const ordered_json& schema, Node& node, const std::string& path) {
    const std::string at = path + "/propertyNames";
    const ordered_json& names = schema["propertyNames"];
    if (names == true) return;
    if (!names.is_object()) throw InputError("a schema must be an object", at);
    check_keywords(names, at);
    refuse_keywords_of_other_types(names, {"string"}, at);
    const StringRules rules = pattern_of(names, at);
    if (rules.meant.empty() || limits_more(names) || !node.properties.empty())
      throw InputError("only a pattern, and no declared properties beside it, are supported", at,
                       "list the names in 'properties'");
    set_names(node, rules, at);
  }

  /// A keyword that limits more than a pattern or a format does.
  static bool limits_more(const ordered_json& names) {
    for (const auto& [key, value] : names.items()) {
      const bool known = key == "pattern" || key == "format" || (key == "type" && value == "string");
      if (is_constraint(key) && !known) return true;
    }
    return false;
  }

  void set_names(Node& node, const StringRules& rules, const std::string& where) {
    const Pattern pattern = automata_at(rules, where);
    node.names_written = pattern.written;
    node.names_meant = pattern.meant;
  }

  void add_property(Node& node, Node::Property property) {
    const std::string written = ordered_json(property.name).dump();
    count_literal(written);
    node.literals.add(std::string_view(written).substr(1, written.size() - 2));
    node.properties.push_back(std::move(property));
  }

  /// What a schema says of the rest of a container, and the keyword that says so. Where nothing but the
  /// schema itself looks into the container, and combinators stand alone here, what `unevaluated` is about is
  /// the rest that `plain` leaves.
  static std::pair<std::string, ordered_json> rest_of(const ordered_json& schema, const char* plain,
                                                      const char* unevaluated) {
    const char* keyword = schema.contains(plain) || !schema.contains(unevaluated) ? plain : unevaluated;
    return {keyword, schema.value(keyword, ordered_json(true))};
  }

  NodeId array(const ordered_json& schema, const std::string& path) {
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
    if (node.least > node.most) throw InputError("no list is long enough and short enough", path);
    return add(std::move(node));
  }

  NodeId string(const ordered_json& schema, const std::string& path) {
    Node node;
    node.kind = NodeKind::kString;
    node.least = count_of(schema, "minLength", 0, path);
    node.most = count_of(schema, "maxLength", kUnbounded, path);
    if (node.least > node.most) throw InputError("minLength is above maxLength", path);
    const StringRules rules = pattern_of(schema, path);
    if (rules.meant.empty()) return add(std::move(node));
    const std::string where = path + (schema.contains("pattern") ? "/pattern" : "/format");
    if (schema.contains("minLength") || schema.contains("maxLength")) {
      throw InputError("minLength and maxLength beside a pattern are not supported", path,
                       "write the bounds into the pattern: {m,n}");
    }
    const Pattern pattern = automata_at(rules, where);
    node.written = pattern.written;
    node.meant = pattern.meant;
    return add(std::move(node));
  }

  struct Pattern {
    std::shared_ptr<const StringPattern> written, meant;
  };

  /// `where`: what a refusal names.
  Pattern automata_at(const StringRules& rules, const std::string& where) {
    try {
      return automata_of(rules);
    } catch (const InputError& error) {
      throw InputError(error.what(), where);
    }
  }

  /// Once for all strings of one pattern: each state takes a kilobyte.
  Pattern automata_of(const StringRules& rules) {
    constexpr std::size_t kMostStates = 16'000;
    if (const auto known = patterns_.find(rules.meant); known != patterns_.end()) return known->second;
    Pattern pattern{std::make_shared<const StringPattern>(rules.written, true),
                    std::make_shared<const StringPattern>(rules.meant, false)};
    if ((pattern_states_ += pattern.written->size() + pattern.meant->size()) > kMostStates)
      throw InputError("with those before it the schema's patterns are too large", "", "simplify them");
    return patterns_.emplace(rules.meant, std::move(pattern)).first->second;
  }

  const ordered_json& root_;
  Grammar grammar_;
  std::map<std::string, NodeId> references_;
  std::vector<OneOf> one_ofs_;
  std::map<std::string, Pattern> patterns_;
  std::size_t pattern_states_ = 0;
  std::size_t literal_bytes_ = 0;
  NodeId any_ = kNoNode;
  int depth_ = 0;
};

}  // namespace

std::shared_ptr<const Grammar> compile_grammar(const ordered_json& schema) {
  return Compiler(schema).run();
}

std::shared_ptr<const Grammar> object_grammar() {
  const ordered_json none;
  return Compiler(none).run_any_object();
}

}  // namespace stepdown::schema
