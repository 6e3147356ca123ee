#include "operator/local/api/typed_value.h"

#include <set>

namespace stepdown::local::api {
namespace {

const Schema* member_of(const Schema* schema, const std::string& key) {
  return schema == nullptr ? nullptr : schema->member(key);
}

bool granular_map(const Json& value, const Schema* schema) {
  return value.is_object() && (schema == nullptr || !schema->atomic_map);
}

void collect(const Json& value, const Schema* schema, FieldSet& out) {
  if (granular_map(value, schema)) {
    for (const auto& [key, below] : value.items()) {
      FieldSet& child = out.children["f:" + key];
      collect(below, member_of(schema, key), child);
      const bool declared = schema != nullptr && schema->properties.contains(key);
      if (below.is_null() || (below.is_structured() && below.empty()) || !declared) child.member = true;
    }
  } else if (value.is_array() && granular_list(schema)) {
    for (const Json& item : value) {
      FieldSet& child = out.children[item_element(item, *schema)];
      if (schema->list_type == ListType::kMap) collect(item, schema->items, child);
      child.member = true;
    }
  } else {
    out.member = true;
  }
}

bool hollow(const Json* value) {
  return value == nullptr || value->is_null() || (value->is_structured() && value->empty());
}

std::map<std::string, const Json*> by_element(const Json* list, const Schema& schema) {
  std::map<std::string, const Json*> items;
  if (list != nullptr && list->is_array()) {
    for (const Json& item : *list) items[item_element(item, schema)] = &item;
  }
  return items;
}

const Json* child_of(const Json* object, const std::string& key) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto it = object->find(key);
  return it == object->end() ? nullptr : &*it;
}

/// Adds what lies at and below `before` and `after` to the three sets, which stand at this path.
struct Comparison {
  Difference& out;
  using Where = std::vector<std::string>;

  static void insert(FieldSet& set, const Where& path) {
    FieldSet* node = &set;
    for (const std::string& element : path) node = &node->children[element];
    node->member = true;
  }

  void leaf(const Json* before, const Json* after, const Where& path) {
    if (before == nullptr && after == nullptr) return;
    if (before == nullptr) {
      insert(out.added, path);
    } else if (after == nullptr) {
      insert(out.removed, path);
    } else if (*before != *after) {
      insert(out.modified, path);
    }
  }

  void container(const Json* before, const Json* after, const Where& path) {
    if (path.empty()) return;
    if (before == nullptr) insert(out.added, path);
    if (after == nullptr) insert(out.removed, path);
  }

  void walk(const Json* before, const Json* after, const Schema* schema, Where& path) {
    if (before != nullptr && after != nullptr && *before == *after) return;
    const bool maps =
        (hollow(before) || granular_map(*before, schema)) && (hollow(after) || granular_map(*after, schema));
    const bool lists = granular_list(schema) && (hollow(before) || before->is_array()) &&
                       (hollow(after) || after->is_array());
    if ((hollow(before) && hollow(after)) || (!maps && !lists)) return leaf(before, after, path);
    if (maps) {
      std::set<std::string> keys;
      for (const Json* side : {before, after}) {
        if (side == nullptr || !side->is_object()) continue;
        for (const auto& [key, ignored] : side->items()) keys.insert(key);
      }
      for (const std::string& key : keys) {
        path.push_back("f:" + key);
        walk(child_of(before, key), child_of(after, key), member_of(schema, key), path);
        path.pop_back();
      }
    } else {
      auto left = by_element(before, *schema);
      const auto right = by_element(after, *schema);
      for (const auto& [element, item] : right) left.try_emplace(element, nullptr);
      const Schema* items = schema->list_type == ListType::kMap ? schema->items : nullptr;
      for (const auto& [element, item] : left) {
        const auto it = right.find(element);
        path.push_back(element);
        walk(item, it == right.end() ? nullptr : it->second, items, path);
        path.pop_back();
      }
    }
    container(before, after, path);
  }
};

Json merge_list(const Json& base, const Json& patch, const Schema& schema) {
  const auto old_items = by_element(&base, schema);
  const auto new_items = by_element(&patch, schema);
  const auto merged = [&](const Json& item) {
    const auto it = old_items.find(item_element(item, schema));
    const bool deep = schema.list_type == ListType::kMap && it != old_items.end();
    return deep ? merge_typed(*it->second, item, schema.items) : item;
  };
  // Shared items take the patch's order; the others keep their place between them.
  Json out = Json::array();
  std::size_t i = 0;
  std::set<std::string> emitted;
  const auto emit_old_only = [&] {
    for (; i < base.size(); ++i) {
      const std::string element = item_element(base[i], schema);
      if (new_items.contains(element)) {
        if (!emitted.contains(element)) return;
        continue;
      }
      out.push_back(base[i]);
    }
  };
  emit_old_only();
  for (const Json& item : patch) {
    out.push_back(merged(item));
    emitted.insert(item_element(item, schema));
    emit_old_only();
  }
  for (; i < base.size(); ++i) {
    if (!new_items.contains(item_element(base[i], schema))) out.push_back(base[i]);
  }
  return out;
}

const FieldSet& below(const FieldSet& set, const std::string& element) {
  static const FieldSet kNothing;
  const auto it = set.children.find(element);
  return it == set.children.end() ? kNothing : it->second;
}

}  // namespace

bool granular_list(const Schema* schema) {
  return schema != nullptr && schema->list_type != ListType::kAtomic;
}

Json item_keys(const Json& item, const Schema& list) {
  Json keys = Json::object();
  for (const std::string& key : list.map_keys) {
    if (item.is_object() && item.contains(key)) {
      keys[key] = item[key];
      continue;
    }
    const Schema* member = list.items == nullptr ? nullptr : list.items->member(key);
    if (member != nullptr && member->default_value) keys[key] = *member->default_value;
  }
  return keys;
}

std::string item_element(const Json& item, const Schema& list) {
  if (list.list_type == ListType::kSet)
    return "v:" + item.dump(-1, ' ', false, Json::error_handler_t::replace);
  const Json keys = item_keys(item, list);
  if (keys.empty()) {
    std::string names;
    for (const std::string& key : list.map_keys) names += (names.empty() ? "" : ", ") + key;
    throw bad_request("associative list without keys has an element that's a map type: expected " + names);
  }
  return "k:" + keys.dump(-1, ' ', false, Json::error_handler_t::replace);
}

FieldSet fields_of(const Json& value, const Schema* schema) {
  FieldSet set;
  collect(value, schema, set);
  set.member = false;
  return set;
}

Difference compare(const Json& before, const Json& after, const Schema* schema) {
  Difference difference;
  Comparison::Where path;
  Comparison{difference}.walk(&before, &after, schema, path);
  return difference;
}

Json merge_typed(const Json& base, const Json& patch, const Schema* schema) {
  if (base.is_object() && granular_map(patch, schema)) {
    Json out = base;
    for (const auto& [key, value] : patch.items()) {
      const auto it = base.find(key);
      out[key] = it == base.end() ? value : merge_typed(*it, value, member_of(schema, key));
    }
    return out;
  }
  if (base.is_array() && patch.is_array() && granular_list(schema)) return merge_list(base, patch, *schema);
  return patch;
}

void remove_fields(Json& value, const FieldSet& unwanted, const FieldSet& kept, const Schema* schema) {
  const auto emptied = [](const Json& below, bool held) {
    return held && below.is_structured() && below.empty();
  };
  if (granular_map(value, schema)) {
    for (auto it = value.begin(); it != value.end();) {
      const std::string element = "f:" + it.key();
      const FieldSet& drop = below(unwanted, element);
      const FieldSet& keep = below(kept, element);
      bool gone = drop.member && keep.empty();
      if (!gone && !drop.empty()) {
        const bool held = !it.value().empty();
        remove_fields(it.value(), drop, keep, member_of(schema, it.key()));
        gone = emptied(it.value(), held) && !keep.member;  // what lost its last item goes with it
      }
      it = gone ? value.erase(it) : std::next(it);
    }
  } else if (value.is_array() && granular_list(schema)) {
    Json left = Json::array();
    for (Json& item : value) {
      const std::string element = item_element(item, *schema);
      const FieldSet& drop = below(unwanted, element);
      const FieldSet& keep = below(kept, element);
      if (drop.member && keep.empty()) continue;
      if (!drop.empty()) remove_fields(item, drop, keep, schema->items);
      left.push_back(std::move(item));
    }
    value = std::move(left);
  }
}

}  // namespace stepdown::local::api
