#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "operator/local/api/api_error.h"
#include "operator/local/api/regex.h"

namespace stepdown::local::api {

namespace cel {
class Program;
}

enum class ListType { kAtomic, kSet, kMap };

/// One x-kubernetes-validations entry, compiled.
struct Rule {
  std::shared_ptr<const cel::Program> program;
  std::shared_ptr<const cel::Program> message_expression;
  std::string text;
  std::string message;
  std::string reason;              ///< FieldValueInvalid unless given
  std::string field_path;          ///< e.g. ".replicas", below the rule's own place
  bool optional_old_self = false;  ///< it is judged at creation too, when oldSelf has no value
};

/// A node of an OpenAPI v3 schema in the form that all walks over objects use. Built-in and custom resources
/// alike.
struct Schema {
  std::string type;  ///< object, array, string, integer, number, boolean; empty: anything
  std::string format;
  std::map<std::string, const Schema*, std::less<>> properties;
  const Schema* items = nullptr;
  const Schema* additional = nullptr;  ///< of the values of a map
  bool preserve_unknown = false;
  bool embedded_resource = false;
  bool int_or_string = false;
  bool nullable = false;
  bool atomic_map = false;
  ListType list_type = ListType::kAtomic;
  std::vector<std::string> map_keys;
  std::string patch_merge_key;
  bool patch_merge = false;        ///< x-kubernetes-patch-strategy holds "merge"
  bool patch_retain_keys = false;  ///< … holds "retainKeys"
  std::optional<Json> default_value;
  std::vector<std::string> required;
  std::vector<Json> enumeration;
  std::string pattern_text;
  std::optional<Regex> pattern;
  std::optional<double> minimum, maximum, multiple_of;
  bool exclusive_minimum = false, exclusive_maximum = false;
  std::optional<std::uint64_t> min_length, max_length, min_items, max_items, min_properties, max_properties;
  bool unique_items = false;
  std::vector<const Schema*> all_of, any_of, one_of;
  const Schema* negated = nullptr;
  std::vector<Rule> rules;

  /// The schema of member `key`; null where the schema says nothing about it.
  const Schema* member(std::string_view key) const;
  bool knows_nothing() const { return type.empty() && properties.empty() && items == nullptr; }
};

/// Owns schemas that may refer to each other, cycles included.
class SchemaSet {
 public:
  /// `definitions`: what "#/components/schemas/NAME" refers to; it must outlive the calls of this object, not
  /// the schemas.
  explicit SchemaSet(const Json& definitions) : definitions_(&definitions) {}
  SchemaSet(const SchemaSet&) = delete;
  SchemaSet& operator=(const SchemaSet&) = delete;

  const Schema* compile(const Json& source);
  const Schema* named(const std::string& name);

 private:
  void fill(Schema& schema, const Json& source);
  void overlay(Schema& schema, const Json& source);
  void settle();

  const Json* definitions_;
  std::deque<Schema> schemas_;
  std::map<std::string, Schema*> by_name_;
  std::set<const Schema*> unfinished_;  ///< named schemas whose own fill() is still running
  struct Deferred {
    Schema* schema;
    const Schema* base;
    Json source;
  };
  std::vector<Deferred> deferred_;  ///< to copy from a base once that is finished
};

}  // namespace stepdown::local::api
