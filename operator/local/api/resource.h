#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "operator/local/api/schema.h"

namespace stepdown::local::api {

/// A column of kubectl's tables; `path` is a JSONPath for custom resources and empty for built-in ones.
struct Column {
  std::string name;
  std::string type;
  std::string format;
  int priority = 0;
  std::string path;
  std::string description;
};

/// One served resource in one version: a row of the table.
struct Resource {
  std::string group;
  std::string version;
  std::string kind;
  std::string plural;
  std::string singular;
  std::string list_kind;
  std::vector<std::string> short_names;
  std::vector<std::string> categories;
  std::vector<std::string> verbs;
  std::set<std::string, std::less<>> subresources;
  std::vector<Column> columns;
  bool namespaced = true;
  bool custom = false;
  std::string storage;  ///< "plural.group" under which objects are stored; versions of a kind share it
  std::string storage_version;  ///< apiVersion that is stored
  std::string schema_name;      ///< in OpenAPI documents
  const Schema* schema = nullptr;
  const Schema* metadata_limits = nullptr;  ///< what a CRD demands of metadata.name and generateName; or null
  Json scale;                               ///< paths of the scale subresource of a custom resource
  Json openapi;  ///< the schema as published; null for built-ins, whose documents are whole
  std::shared_ptr<const SchemaSet> schemas;  ///< keeps `schema` alive

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  bool has(std::string_view subresource) const { return subresources.contains(subresource); }
  bool allows(std::string_view verb) const;
  Subject subject(std::string_view name = {}) const { return {group, plural, kind, std::string(name)}; }
};

/// All resources served at one moment. Immutable; a change of CRDs makes a new one.
class Registry {
 public:
  explicit Registry(std::vector<std::shared_ptr<const Resource>> resources);

  std::shared_ptr<const Resource> find(std::string_view group, std::string_view version,
                                       std::string_view plural) const;
  /// Any version of the stored resource "plural.group"; null when unknown.
  std::shared_ptr<const Resource> by_storage(std::string_view storage) const;
  std::shared_ptr<const Resource> by_kind(std::string_view api_version, std::string_view kind) const;
  const std::vector<std::shared_ptr<const Resource>>& all() const { return resources_; }
  /// Group → versions, best first, in serving order.
  const std::vector<std::pair<std::string, std::vector<std::string>>>& groups() const { return groups_; }

 private:
  std::vector<std::shared_ptr<const Resource>> resources_;
  std::vector<std::pair<std::string, std::vector<std::string>>> groups_;
};

}  // namespace stepdown::local::api
