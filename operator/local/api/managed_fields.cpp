#include "operator/local/api/managed_fields.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "operator/local/api/typed_value.h"

namespace stepdown::local::api {
namespace {

struct Entry {
  std::string manager, operation, api_version, subresource, time;
  FieldSet fields;

  bool is(const Writer& writer, std::string_view op, const std::string& version) const {
    // An applier is one whatever the version; an updater is one a version.
    return manager == writer.manager && operation == op && subresource == writer.subresource &&
           (op == "Apply" || api_version == version);
  }
};

using Entries = std::vector<Entry>;

std::string text(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

const Json& managed_of(const Json& object) {
  static const Json kNone = Json::array();
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return kNone;
  const auto it = metadata->find("managedFields");
  return it != metadata->end() && it->is_array() ? *it : kNone;
}

Entries decode(const Json& list) {
  Entries entries;
  for (const Json& source : list) {
    if (!source.is_object()) throw bad_request("metadata.managedFields: an entry must be an object");
    Entry entry{text(source, "manager"),     text(source, "operation"), text(source, "apiVersion"),
                text(source, "subresource"), text(source, "time"),      {}};
    if (entry.operation != "Apply" && entry.operation != "Update") {
      throw bad_request("metadata.managedFields: operation must be `Apply` or `Update`");
    }
    if (source.contains("fieldsV1")) entry.fields = FieldSet::decode(source["fieldsV1"]);
    entries.push_back(std::move(entry));
  }
  return entries;
}

Json encode(Entries entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.fields.empty(); });
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.operation, a.time, a.manager, a.api_version, a.subresource) <
           std::tie(b.operation, b.time, b.manager, b.api_version, b.subresource);
  });
  Json list = Json::array();
  for (const Entry& entry : entries) {
    Json out = {{"manager", entry.manager},        {"operation", entry.operation},
                {"apiVersion", entry.api_version}, {"time", entry.time},
                {"fieldsType", "FieldsV1"},        {"fieldsV1", entry.fields.encode()}};
    if (!entry.subresource.empty()) out["subresource"] = entry.subresource;
    list.push_back(std::move(out));
  }
  return list;
}

/// Fields that no manager owns: identity and what the server itself writes; and what this door does not
/// write.
void strip(FieldSet& set, const Resource& resource, const Writer& writer) {
  set.children.erase("f:apiVersion");
  set.children.erase("f:kind");
  if (const auto it = set.children.find("f:metadata"); it != set.children.end()) {
    it->second.member = false;
    for (const char* name : {"f:name", "f:namespace", "f:creationTimestamp", "f:selfLink", "f:uid",
                             "f:generation", "f:managedFields", "f:resourceVersion"}) {
      it->second.children.erase(name);
    }
  }
  if (writer.subresource == "status") {
    std::erase_if(set.children, [](const auto& child) { return child.first != "f:status"; });
  } else if (resource.has("status")) {
    set.children.erase("f:status");
  }
  set.trim();
}

Json without_managed(Json object) {
  if (object.contains("metadata") && object["metadata"].is_object())
    object["metadata"].erase("managedFields");
  return object;
}

/// What a built-in object holds before anything is set: structures that Go's types always have. They are no
/// one's.
Json skeleton(const Schema& schema) {
  Json out = Json::object();
  for (const auto& [name, member] : schema.properties) {
    if (member->default_value && member->default_value->is_object()) out[name] = skeleton(*member);
    // A list that Go never omits is there as null.
    if (member->type == "array" &&
        std::find(schema.required.begin(), schema.required.end(), name) != schema.required.end()) {
      out[name] = nullptr;
    }
  }
  return out;
}

Json base_of(const Json& live, const Resource& resource) {
  if (!live.empty() || resource.custom) return without_managed(live);
  return skeleton(*resource.schema);
}

Entries base_entries(const Json& live, const Json& object) {
  const Json& own = managed_of(object);
  if (own.size() == 1 && own.front().is_object() && own.front().empty()) return {};  // asked to forget
  if (!own.empty()) {
    try {
      return decode(own);
    } catch (const ApiError&) {
      return decode(managed_of(live));  // unreadable: keep what is recorded, as the API server does
    }
  }
  return decode(managed_of(live));
}

std::string printed_manager(const Entry& entry) {
  std::string out = in_quotes(entry.manager);
  if (!entry.subresource.empty()) out += " with subresource " + in_quotes(entry.subresource);
  if (entry.operation == "Update") out += " using " + entry.api_version;
  return out;
}

ApiError conflict_error(const std::vector<std::pair<const Entry*, FieldSet>>& conflicts) {
  std::vector<Cause> causes;
  std::string grouped;
  for (const auto& [entry, fields] : conflicts) {
    grouped += (grouped.empty() ? "" : "\n") + std::string("conflicts with ") + printed_manager(*entry) + ":";
    for (const std::string& path : fields.paths()) {
      causes.push_back({"FieldManagerConflict", "conflict with " + printed_manager(*entry), path});
      grouped += "\n- " + path;
    }
  }
  if (causes.size() == 1) {
    return apply_conflict(causes,
                          "Apply failed with 1 conflict: " + causes[0].message + ": " + causes[0].field);
  }
  return apply_conflict(causes,
                        "Apply failed with " + std::to_string(causes.size()) + " conflicts: " + grouped);
}

void set_managed(Json& object, Entries entries) {
  Json encoded = encode(std::move(entries));
  if (encoded.empty()) {
    if (object.contains("metadata")) object["metadata"].erase("managedFields");
  } else {
    object["metadata"]["managedFields"] = std::move(encoded);
  }
}

}  // namespace

void record_update(const Json& live, Json& object, const Resource& resource, const Writer& writer) {
  Entries entries = base_entries(live, object);
  Difference difference = compare(base_of(live, resource), without_managed(object), resource.schema);
  strip(difference.added, resource, writer);
  strip(difference.modified, resource, writer);
  FieldSet taken = difference.added;
  taken.unite(difference.modified);

  const std::string version = resource.api_version();
  for (Entry& entry : entries) {
    entry.fields.subtract(difference.removed);
    entry.fields.subtract(taken);
  }
  if (!taken.empty()) {
    auto own = std::find_if(entries.begin(), entries.end(),
                            [&](const Entry& entry) { return entry.is(writer, "Update", version); });
    if (own == entries.end()) {
      own = entries.insert(entries.end(),
                           Entry{writer.manager, "Update", version, writer.subresource, writer.time, {}});
    }
    own->fields.unite(taken);
    own->time = writer.time;
  }
  set_managed(object, std::move(entries));
}

Json apply_config(const Json& live, const Json& config, const Resource& resource, const Writer& writer,
                  bool force) {
  Entries entries = decode(managed_of(live));
  const std::string version = resource.api_version();
  FieldSet owned = fields_of(without_managed(config), resource.schema);
  strip(owned, resource, writer);

  const auto is_own = [&](const Entry& entry) { return entry.is(writer, "Apply", version); };
  const auto own = std::find_if(entries.begin(), entries.end(), is_own);
  FieldSet dropped = own == entries.end() ? FieldSet() : own->fields;
  dropped.subtract(owned);
  FieldSet others = owned;
  for (const Entry& entry : entries) {
    if (!is_own(entry)) others.unite(entry.fields);
  }

  const Json base = base_of(live, resource);
  Json merged = merge_typed(base, without_managed(config), resource.schema);
  if (!dropped.empty()) remove_fields(merged, dropped, others, resource.schema);

  Difference difference = compare(base, merged, resource.schema);
  FieldSet changed = difference.added;
  changed.unite(difference.modified);
  std::vector<std::pair<const Entry*, FieldSet>> conflicts;
  for (const Entry& entry : entries) {
    if (is_own(entry)) continue;
    FieldSet both = entry.fields.intersection(changed);
    if (!both.empty()) conflicts.emplace_back(&entry, std::move(both));
  }
  if (!conflicts.empty() && !force) throw conflict_error(conflicts);

  for (Entry& entry : entries) {
    entry.fields.subtract(difference.removed);
    if (!is_own(entry)) entry.fields.subtract(changed);
  }
  if (own == entries.end()) {
    entries.push_back({writer.manager, "Apply", version, writer.subresource, writer.time, std::move(owned)});
  } else {
    const bool renewed = !(own->fields == owned) || own->api_version != version;
    own->fields = std::move(owned);
    own->api_version = version;
    if (renewed || !changed.empty()) own->time = writer.time;
  }
  set_managed(merged, std::move(entries));
  return merged;
}

bool same_but_times(const Json& left, const Json& right) {
  const auto timeless = [](Json object) {
    if (!managed_of(object).empty()) {
      for (Json& entry : object["metadata"]["managedFields"]) entry.erase("time");
    }
    return object;
  };
  return timeless(left) == timeless(right);
}

}  // namespace stepdown::local::api
