#include "operator/kube/object.h"

#include <charconv>

#include <nlohmann/json.hpp>

namespace stepdown::kube {
namespace {

using nlohmann::json;

const json kNull;

const json* child_of(const json& parent, const std::string& token) {
  if (parent.is_object()) {
    const auto found = parent.find(token);
    return found == parent.end() ? nullptr : &*found;
  }
  if (!parent.is_array()) return nullptr;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  const bool whole = error == std::errc{} && end == token.data() + token.size();
  return whole && index < parent.size() ? &parent[index] : nullptr;
}

std::string unescape(std::string token) {
  for (std::size_t at = 0; (at = token.find('~', at)) != std::string::npos; ++at) {
    token.replace(at, 2, token.compare(at, 2, "~1") == 0 ? "/" : "~");
  }
  return token;
}

}  // namespace

const json& value_at(const json& object, std::string_view pointer) {
  const json* here = &object;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    here = child_of(*here, unescape(std::string(pointer.substr(0, end))));
    if (here == nullptr) return kNull;
    pointer.remove_prefix(end);
  }
  return *here;
}

std::string text_at(const json& object, std::string_view pointer) {
  const json& value = value_at(object, pointer);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::int64_t integer_at(const json& object, std::string_view pointer, std::int64_t otherwise) {
  const json& value = value_at(object, pointer);
  return value.is_number_integer() ? value.get<std::int64_t>() : otherwise;
}

ObjectKey key_of(const json& object) {
  return {text_at(object, "/metadata/namespace"), text_at(object, "/metadata/name")};
}

std::string uid_of(const json& object) {
  return text_at(object, "/metadata/uid");
}

std::string resource_version_of(const json& object) {
  return text_at(object, "/metadata/resourceVersion");
}

bool is_being_deleted(const json& object) {
  return !text_at(object, "/metadata/deletionTimestamp").empty();
}

namespace {

std::string entry_of(const json& map, const std::string& key) {
  if (!map.is_object()) return {};
  const auto found = map.find(key);
  return found != map.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string label_of(const json& object, const std::string& label) {
  return entry_of(value_at(object, "/metadata/labels"), label);
}

std::string annotation_of(const json& object, const std::string& annotation) {
  return entry_of(value_at(object, "/metadata/annotations"), annotation);
}

json controller_reference(const json& owner) {
  return {{"apiVersion", text_at(owner, "/apiVersion")},
          {"kind", text_at(owner, "/kind")},
          {"name", text_at(owner, "/metadata/name")},
          {"uid", uid_of(owner)},
          {"controller", true},
          {"blockOwnerDeletion", true}};
}

std::string controller_uid_of(const json& object) {
  for (const json& reference : value_at(object, "/metadata/ownerReferences")) {
    if (value_at(reference, "/controller") == true) return text_at(reference, "/uid");
  }
  return {};
}

}  // namespace stepdown::kube
