#include "operator/local/api/schema_walk.h"

namespace stepdown::local::api {
namespace {

bool identity(const std::string& key) {
  return key == "apiVersion" || key == "kind" || key == "metadata";
}

void walk(Json& value, const Schema& schema, bool root, const std::string& path,
          std::vector<std::string>& unknown) {
  if (value.is_object()) {
    for (auto it = value.begin(); it != value.end();) {
      const Schema* member = schema.member(it.key());
      const std::string below = path.empty() ? it.key() : path + "." + it.key();
      const bool keep = schema.preserve_unknown || schema.knows_nothing() || schema.type != "object" ||
                        ((root || schema.embedded_resource) && identity(it.key()));
      if (member != nullptr) {
        walk(it.value(), *member, false, below, unknown);
      } else if (!keep) {
        unknown.push_back(below);
        it = value.erase(it);
        continue;
      }
      ++it;
    }
  } else if (value.is_array() && schema.items != nullptr) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      walk(value[i], *schema.items, false, path + "[" + std::to_string(i) + "]", unknown);
    }
  }
}

}  // namespace

void prune(Json& value, const Schema& schema, bool root, std::vector<std::string>& unknown) {
  walk(value, schema, root, "", unknown);
}

void apply_defaults(Json& value, const Schema& schema) {
  if (value.is_object()) {
    for (const auto& [name, member] : schema.properties) {
      const auto it = value.find(name);
      const bool absent = it == value.end() || (it->is_null() && !member->nullable);
      if (!absent) continue;
      if (member->default_value) {
        value[name] = *member->default_value;
      } else if (it != value.end()) {
        value.erase(it);
      }
    }
    for (auto& [key, below] : value.items()) {
      if (const Schema* member = schema.member(key)) apply_defaults(below, *member);
    }
  } else if (value.is_array() && schema.items != nullptr) {
    for (Json& item : value) {
      if (item.is_null() && !schema.items->nullable && schema.items->default_value)
        item = *schema.items->default_value;
      apply_defaults(item, *schema.items);
    }
  }
}

}  // namespace stepdown::local::api
