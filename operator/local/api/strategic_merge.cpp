#include "operator/local/api/strategic_merge.h"

#include <algorithm>

namespace stepdown::local::api {
namespace {

constexpr std::string_view kDelete = "$deleteFromPrimitiveList/";
constexpr std::string_view kOrder = "$setElementOrder/";

std::string directive(const Json& patch) {
  const auto it = patch.find("$patch");
  if (it == patch.end()) return {};
  if (!it->is_string()) throw bad_request("$patch must be a string");
  return it->get<std::string>();
}

Json without_directives(const Json& patch) {
  if (patch.is_array()) {
    Json out = Json::array();
    for (const Json& item : patch) {
      if (!item.is_object() || directive(item).empty() || item.size() > 1)
        out.push_back(without_directives(item));
    }
    return out;
  }
  if (!patch.is_object()) return patch;
  Json out = Json::object();
  for (const auto& [key, value] : patch.items()) {
    if (!key.starts_with('$') && !value.is_null()) out[key] = without_directives(value);
  }
  return out;
}

bool is_item(const Json& item, const std::string& key, const Json& value) {
  return item.is_object() && item.contains(key) && item[key] == value;
}

Json merge_items(Json base, const Json& patch, const Schema& schema) {
  const std::string& key = schema.patch_merge_key;
  for (const Json& item : patch) {
    if (!item.is_object()) throw bad_request("strategic merge patch: a list item must be an object");
    const std::string how = directive(item);
    if (how == "replace") return without_directives(patch);
    const auto value = item.find(key);
    if (value == item.end()) {
      if (!how.empty()) continue;
      throw bad_request("map: " + item.dump(-1, ' ', false, Json::error_handler_t::replace) +
                        " does not contain declared merge key: " + key);
    }
    const auto it =
        std::find_if(base.begin(), base.end(), [&](const Json& old) { return is_item(old, key, *value); });
    if (how == "delete") {
      if (it != base.end()) base.erase(it);
    } else if (it == base.end()) {
      base.push_back(without_directives(item));
    } else {
      *it = strategic_merge(std::move(*it), item, schema.items);
    }
  }
  return base;
}

Json merge_primitives(Json base, const Json& patch) {
  for (const Json& value : patch) {
    if (std::find(base.begin(), base.end(), value) == base.end()) base.push_back(value);
  }
  return base;
}

std::size_t position(const Json& order, const Json& item, const std::string& key) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool same = order[i].is_object() ? (order[i].contains(key) && is_item(item, key, order[i][key]))
                                           : order[i] == item;
    if (same) return i;
  }
  return order.size();
}

/// Items that the patch names come in its order; the others keep theirs and go before a named one that they
/// preceded.
void reorder(Json& list, const Json& before, const Json& order, const std::string& key) {
  if (!list.is_array() || !order.is_array()) return;
  std::vector<Json> named;
  std::vector<Json> others;
  for (Json& item : list)
    (position(order, item, key) < order.size() ? named : others).push_back(std::move(item));
  std::stable_sort(named.begin(), named.end(), [&](const Json& a, const Json& b) {
    return position(order, a, key) < position(order, b, key);
  });
  Json merged = Json::array();
  std::size_t next = 0;
  for (Json& other : others) {
    const std::size_t place = position(before, other, key);
    while (next < named.size() && !(position(before, named[next], key) < before.size() &&
                                    place < position(before, named[next], key))) {
      merged.push_back(std::move(named[next++]));
    }
    merged.push_back(std::move(other));
  }
  while (next < named.size()) merged.push_back(std::move(named[next++]));
  list = std::move(merged);
}

void retain_keys(Json& base, const Json& patch) {
  const auto it = patch.find("$retainKeys");
  if (it == patch.end() || !it->is_array()) return;
  for (auto entry = base.begin(); entry != base.end();) {
    const bool kept = std::find(it->begin(), it->end(), Json(entry.key())) != it->end();
    entry = kept ? std::next(entry) : base.erase(entry);
  }
}

void remove_primitives(Json& base, const Json& patch) {
  for (const auto& [key, values] : patch.items()) {
    if (!key.starts_with(kDelete) || !values.is_array()) continue;
    const std::string name = key.substr(kDelete.size());
    if (!base.contains(name) || !base[name].is_array()) continue;
    Json left = Json::array();
    for (const Json& item : base[name]) {
      if (std::find(values.begin(), values.end(), item) == values.end()) left.push_back(item);
    }
    base[name] = std::move(left);
  }
}

}  // namespace

Json strategic_merge(Json base, const Json& patch, const Schema* schema) {
  if (!patch.is_object()) return patch;
  const std::string how = directive(patch);
  if (how == "replace") return without_directives(patch);
  if (how == "delete") return Json::object();
  if (!how.empty() && how != "merge") throw bad_request("unknown patch strategy: " + how);
  if (!base.is_object()) base = Json::object();
  const Json before = base;
  retain_keys(base, patch);
  remove_primitives(base, patch);
  for (const auto& [key, value] : patch.items()) {
    if (key.starts_with('$')) continue;
    const Schema* member = schema == nullptr ? nullptr : schema->member(key);
    if (value.is_null()) {
      base.erase(key);
    } else if (value.is_object()) {
      base[key] = strategic_merge(base.contains(key) ? base[key] : Json::object(), value, member);
    } else if (value.is_array() && member != nullptr && member->patch_merge && base.contains(key) &&
               base[key].is_array()) {
      base[key] = member->patch_merge_key.empty() ? merge_primitives(base[key], value)
                                                  : merge_items(base[key], value, *member);
    } else {
      base[key] = without_directives(value);
    }
  }
  for (const auto& [key, value] : patch.items()) {
    const bool ordered = key.starts_with(kOrder);
    if (!ordered && (key.starts_with('$') || patch.contains(std::string(kOrder) + key))) continue;
    const std::string name = ordered ? key.substr(kOrder.size()) : key;
    const Schema* member = schema == nullptr ? nullptr : schema->member(name);
    if (member == nullptr || !member->patch_merge || !base.contains(name) || !value.is_array()) continue;
    const Json was = before.contains(name) && before[name].is_array() ? before[name] : Json::array();
    reorder(base[name], was, value, member->patch_merge_key);
  }
  return base;
}

}  // namespace stepdown::local::api
