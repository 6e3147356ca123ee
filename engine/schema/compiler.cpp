#include "engine/schema/compiler.h"

#include <algorithm>
#include <utility>

#include "engine/base/error.h"
#include "engine/schema/alternatives.h"
#include "engine/schema/anchors.h"
#include "engine/schema/disjoint.h"
#include "engine/schema/grammar_checks.h"
#include "engine/schema/schema_compiler.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

bool nests_beyond(const ordered_json& value, int levels) {
  if (!value.is_structured()) return false;
  return levels == 0 || std::ranges::any_of(value, [levels](const ordered_json& child) {
           return nests_beyond(child, levels - 1);
         });
}

/// A schema of a base of its own changes what references in it name.
void check_resources(const ordered_json& schema, bool within) {
  if (schema.is_array()) {
    for (const ordered_json& each : schema) check_resources(each, true);
  }
  if (!schema.is_object()) return;
  const bool based = within && schema.contains("$id") && schema["$id"].is_string();
  if (based && schema.dump(-1, ' ', false, ordered_json::error_handler_t::replace).find("\"$ref\"") !=
                   std::string::npos)
    throw InputError("'$id' within a schema, around references, is not supported", schema["$id"],
                     "leave it out and refer by \"#/$defs/NAME\"");
  for (const auto& [key, value] : schema.items()) {
    if (key != "enum" && key != "const" && key != "default" && key != "examples")
      check_resources(value, true);
  }
}

/// Others might ask for other keywords.
void check_metaschema(const ordered_json& schema) {
  if (!schema.is_object() || !schema.contains("$schema")) return;
  const std::string name =
      schema["$schema"].is_string() ? schema["$schema"].get<std::string>() : std::string();
  if (name.find("//json-schema.org/") == std::string::npos)
    throw InputError("schemas of a metaschema of their own are not supported", "#/$schema",
                     "name https://json-schema.org/draft/2020-12/schema, or none");
}

/// Fragments of URIs write some characters as %XX.
std::string percent_decoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      return at < text.size() ? kDigits.find(static_cast<char>(text[at] | 0x20)) : std::string::npos;
    };
    if (text[i] != '%' || digit(i + 1) == std::string::npos || digit(i + 2) == std::string::npos) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
    i += 2;
  }
  return out;
}

}  // namespace

std::shared_ptr<const Grammar> SchemaCompiler::run() {
  constexpr int kDeepestJson = 300;  // recursion below, and dump()'s, stay far from the stack's end
  if (nests_beyond(root_, kDeepestJson)) throw InputError("the schema is nested too deeply", "#");
  check_metaschema(root_);
  check_resources(root_, false);
  anchors_ = anchors_of(root_);
  grammar_.root = compile(root_, "#");
  return finish();
}

std::shared_ptr<const Grammar> SchemaCompiler::run_any_object() {
  grammar_.root = any("object");
  return finish();
}

std::shared_ptr<const Grammar> SchemaCompiler::finish() {
  check_circles(grammar_);
  filter_values();
  flatten_alternatives(grammar_);
  list_choices();
  set_heights(grammar_);
  check_exclusive();
  return std::make_shared<const Grammar>(std::move(grammar_));
}

/// Documents are followed by the first alternative that fits; that no other fits too must be certain.
void SchemaCompiler::check_exclusive() const {
  std::size_t steps = 3'000'000;
  for (const OneOf& one_of : one_ofs_) {
    const auto both = overlapping(grammar_, one_of.alternatives, steps);
    if (!both) continue;
    throw InputError("a document might be valid for both " + std::to_string(both->first) + " and " +
                         std::to_string(both->second),
                     one_of.path,
                     "write 'anyOf', or give both a required property whose 'const' tells them apart");
  }
}

NodeId SchemaCompiler::add(Node node) {
  constexpr std::size_t kMostNodes = 20'000;
  if (grammar_.nodes.size() >= kMostNodes) throw InputError("the schema is too large", "#");
  grammar_.nodes.push_back(std::move(node));
  return static_cast<NodeId>(grammar_.nodes.size() - 1);
}

NodeId SchemaCompiler::any_of(std::vector<NodeId> alternatives) {
  if (alternatives.size() == 1) return alternatives[0];
  Node node;
  node.alternatives = std::move(alternatives);
  return add(std::move(node));
}

NodeId SchemaCompiler::any() {
  if (any_ != kNoNode) return any_;
  any_ = add({});
  std::vector<NodeId> all;
  for (const char* type : kPlainTypes) all.push_back(any(type));
  grammar_.nodes[static_cast<std::size_t>(any_)].alternatives = std::move(all);
  return any_;
}

NodeId SchemaCompiler::any(std::string_view type) {
  if (any_ == kNoNode) any();
  if (const auto known = any_types_.find(type); known != any_types_.end()) return known->second;
  const NodeId node = of_type(ordered_json::object(), type, "#");
  any_types_.emplace(type, node);
  return node;
}

NodeId SchemaCompiler::impossible(const std::string& what, const std::string& path) {
  if (!merged_) throw InputError(what, path);
  return never();
}

NodeId SchemaCompiler::compile(const ordered_json& schema, const std::string& path) {
  constexpr int kDeepestSchema = 100;
  if (schema == true) return any();
  if (schema == false) return never();
  if (!schema.is_object()) throw InputError("a schema must be an object", path);
  if (++depth_ > kDeepestSchema) throw InputError("the schema is nested too deeply", path);
  const NodeId node = compile_object(schema, path);
  --depth_;
  return node;
}

NodeId SchemaCompiler::compile_object(const ordered_json& schema, const std::string& path) {
  check_keywords(schema, path);
  if (std::ranges::none_of(schema.items(), [](const auto& entry) { return is_constraint(entry.key()); }))
    return any();
  const auto only = only_constraint(schema);
  if (only == "$ref") return reference(schema, path);
  if (only == "anyOf" || only == "oneOf") return combine(schema[*only], *only, path + "/" + *only);
  const bool plain =
      std::ranges::none_of(schema.items(), [](const auto& entry) { return is_combinator(entry.key()); });
  return plain ? flat(schema, path, false) : conjunction(schema, path);
}

NodeId SchemaCompiler::flat(const ordered_json& schema, const std::string& path, bool merged) {
  const bool before = std::exchange(merged_, merged);
  std::vector<std::string> types = types_of(schema, path);
  NodeId node = kNoNode;
  if (schema.contains("enum") || schema.contains("const")) {
    node = enumerated(schema, types, path);
  } else {
    if (!merged && !types.empty()) refuse_keywords_of_other_types(schema, types, path);
    if (types.empty()) types.assign(kPlainTypes.begin(), kPlainTypes.end());
    std::vector<NodeId> alternatives;
    for (const std::string& type : types) {
      const bool bare = !narrows(schema, type) && !schema.contains("not") && type != "integer";
      alternatives.push_back(bare ? any(type) : of_type(schema, type, path));
    }
    node = any_of(std::move(alternatives));
  }
  merged_ = before;
  return node;
}

NodeId SchemaCompiler::of_type(const ordered_json& schema, std::string_view type, const std::string& path) {
  if (type == "object") return object(schema, path);
  if (type == "array") return array(schema, path);
  if (type == "string") return string(schema, path);
  if (type == "integer" || type == "number") return number(schema, type == "integer", path);
  return named_values(schema, type);
}

const ordered_json& SchemaCompiler::target_of(const ordered_json& reference, const std::string& path) const {
  if (!reference.is_string() || !reference.get_ref<const std::string&>().starts_with('#')) {
    throw InputError("only references within the schema are supported", path + "/$ref",
                     "write \"#/$defs/NAME\"");
  }
  const auto text = reference.get<std::string>();
  std::string pointer = percent_decoded(text.substr(1));
  if (const auto anchor = anchors_.find(pointer); anchor != anchors_.end()) pointer = anchor->second;
  try {
    return root_.at(ordered_json::json_pointer(pointer));
  } catch (const ordered_json::exception&) {
    throw InputError("'" + text + "' names nothing", path + "/$ref");
  }
}

NodeId SchemaCompiler::reference(const ordered_json& schema, const std::string& path) {
  const ordered_json& found = target_of(schema["$ref"], path);
  const auto text = schema["$ref"].get<std::string>();
  if (const auto known = references_.find(text); known != references_.end()) return known->second;
  // Reserved first, so that the target may refer to itself.
  const NodeId reserved = references_.emplace(text, add({})).first->second;
  const NodeId node = compile(found, text);
  grammar_.nodes[static_cast<std::size_t>(reserved)].alternatives = {node};
  return reserved;
}

NodeId SchemaCompiler::combine(const ordered_json& list, const std::string& keyword,
                               const std::string& path) {
  if (!list.is_array() || list.empty()) throw InputError("'" + keyword + "' must be a list of schemas", path);
  std::vector<NodeId> alternatives;
  for (std::size_t i = 0; i < list.size(); ++i)
    alternatives.push_back(compile(list[i], path + "/" + std::to_string(i)));
  if (keyword == "oneOf") one_ofs_.push_back({alternatives, path});
  return any_of(std::move(alternatives));
}

std::shared_ptr<const Grammar> compile_grammar(const ordered_json& schema) {
  return SchemaCompiler(schema).run();
}

std::shared_ptr<const Grammar> object_grammar() {
  const ordered_json none;
  return SchemaCompiler(none).run_any_object();
}

}  // namespace stepdown::schema
