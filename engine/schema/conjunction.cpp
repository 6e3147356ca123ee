#include <utility>

#include "engine/base/error.h"
#include "engine/schema/negation.h"
#include "engine/schema/schema_compiler.h"
#include "engine/schema/schema_merge.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

/// Takes a keyword out of a schema; null when it has none.
ordered_json take(ordered_json& schema, const char* keyword) {
  const auto found = schema.find(keyword);
  if (found == schema.end()) return nullptr;
  ordered_json value = std::move(*found);
  schema.erase(found);
  return value;
}

const ordered_json& checked_list(const ordered_json& list, const char* keyword, const std::string& path) {
  if (!list.is_array() || list.empty())
    throw InputError("'" + std::string(keyword) + "' must be a list of schemas", path + "/" + keyword);
  return list;
}

/// What is valid without the property, or as `then` says.
ordered_json unless_absent(const std::string& property, ordered_json then) {
  return {{"anyOf", ordered_json::array({{{"properties", {{property, false}}}}, std::move(then)})}};
}

/// Replaces what asks for others under conditions by alternatives and schemas that hold too.
void expand(ordered_json& part, std::vector<ordered_json>& parts, const std::string& path) {
  for (const char* keyword :
       {"allOf", "if", "then", "else", "dependentRequired", "dependentSchemas", "not"}) {
    if (part.contains(keyword) && part[keyword].is_null())
      throw InputError("'" + std::string(keyword) + "' must not be null", path + "/" + keyword);
  }
  const ordered_json all = take(part, "allOf");
  if (!all.is_null()) {
    for (const ordered_json& each : checked_list(all, "allOf", path)) parts.push_back(each);
  }
  const ordered_json condition = take(part, "if");
  const ordered_json then = take(part, "then");
  const ordered_json otherwise = take(part, "else");
  if (!condition.is_null() && !(then.is_null() && otherwise.is_null())) {
    const auto both = [](const ordered_json& a, const ordered_json& b) -> ordered_json {
      if (b.is_null()) return a;
      return {{"allOf", ordered_json::array({a, b})}};
    };
    parts.push_back(
        {{"anyOf", ordered_json::array({both(condition, then), both({{"not", condition}}, otherwise)})}});
  }
  const ordered_json required = take(part, "dependentRequired");
  const ordered_json schemas = take(part, "dependentSchemas");
  for (const auto& [keyword, value] :
       {std::pair("dependentRequired", &required), {"dependentSchemas", &schemas}}) {
    if (!value->is_null() && !value->is_object())
      throw InputError("'" + std::string(keyword) + "' must be an object", path);
  }
  for (const auto& [name, others] : required.items())
    parts.push_back(unless_absent(name, {{"required", others}}));
  for (const auto& [name, schema] : schemas.items()) parts.push_back(unless_absent(name, schema));
  if (!part.contains("not")) return;
  const ordered_json negative = take(part, "not");
  if (negative.is_object()) check_keywords(negative, path + "/not");
  const auto only = negative.is_object() ? only_constraint(negative) : std::nullopt;
  if (only == "enum" && negative["enum"].is_array()) {
    part["not"] = {{"enum", negative["enum"]}};
  } else if (only == "const") {
    part["not"] = {{"enum", ordered_json::array({negative["const"]})}};
  } else {
    parts.push_back(negated(negative, path + "/not"));
  }
}

}  // namespace

/// Once for equal texts: what schemas that refer to themselves are combined to repeats.
NodeId SchemaCompiler::conjunction(const ordered_json& schema, const std::string& path) {
  constexpr std::size_t kMostBytes = 4 << 20;  // work, and what combinations of combinations grow to
  std::string text = schema.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  if ((conjoined_bytes_ += text.size()) > kMostBytes)
    throw InputError("the combinations of the schema are too many", path,
                     "write fewer alternatives beside others");
  if (const auto known = conjunctions_.find(text); known != conjunctions_.end()) return known->second;
  const NodeId reserved = conjunctions_.emplace(std::move(text), add({})).first->second;
  const NodeId node = conjoin({schema}, path);
  grammar_.nodes[static_cast<std::size_t>(reserved)].alternatives = {node};
  return reserved;
}

NodeId SchemaCompiler::conjoin(std::vector<ordered_json> parts, const std::string& path) {
  ordered_json flat_schema = ordered_json::object();
  std::set<std::string> referred;
  std::vector<std::pair<std::string, ordered_json>> choices;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    ordered_json part = parts[i];
    if (part == true) continue;
    if (part == false) return never();
    if (!part.is_object()) throw InputError("a schema must be an object", path);
    check_keywords(part, path);
    plain_unevaluated(part, parts, path);
    const ordered_json reference = take(part, "$ref");
    if (!reference.is_null()) {
      const ordered_json& target = target_of(reference, path);
      if (referred.insert(reference.get<std::string>()).second) parts.push_back(target);
    }
    expand(part, parts, path);
    for (const char* keyword : {"anyOf", "oneOf"}) {
      ordered_json list = take(part, keyword);
      if (!list.is_null()) choices.emplace_back(keyword, checked_list(list, keyword, path));
    }
    flat_schema = merged(flat_schema, part, path);
    if (flat_schema == false) return never();
  }
  if (choices.empty()) return flat(flat_schema, path, true);
  const auto [keyword, list] = choices.front();
  for (std::size_t i = 1; i < choices.size(); ++i)
    flat_schema["allOf"].push_back({{choices[i].first, choices[i].second}});
  std::vector<NodeId> alternatives;
  for (const ordered_json& each : list)
    alternatives.push_back(compile({{"allOf", ordered_json::array({flat_schema, each})}}, path));
  if (keyword == "oneOf") one_ofs_.push_back({alternatives, path + "/oneOf"});
  return any_of(std::move(alternatives));
}

}  // namespace stepdown::schema
