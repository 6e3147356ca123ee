#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::kube {

/// Names a resource as the API server's paths do: {"apps", "v1", "deployments"}; the core group is "".
struct GroupVersionResource {
  std::string group;
  std::string version;
  std::string resource;  ///< plural, lower case

  /// "v1" or "apps/v1", as objects carry it.
  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  auto operator<=>(const GroupVersionResource&) const = default;
};

/// Names one object of a resource. `ns` is empty for cluster-scoped ones.
struct ObjectKey {
  std::string ns;
  std::string name;

  std::string text() const { return ns.empty() ? name : ns + "/" + name; }
  auto operator<=>(const ObjectKey&) const = default;
};

/// The parts of an object's metadata that a client needs; "" where absent or not text.
ObjectKey key_of(const nlohmann::json& object);
std::string uid_of(const nlohmann::json& object);
std::string resource_version_of(const nlohmann::json& object);
bool is_being_deleted(const nlohmann::json& object);

/// The text at a JSON pointer ("/status/podIP"); "" where absent or not text. Never throws on strange
/// objects.
std::string text_at(const nlohmann::json& object, std::string_view pointer);
/// The value at a JSON pointer; null where absent. The reference lives as long as `object`.
const nlohmann::json& value_at(const nlohmann::json& object, std::string_view pointer);
std::int64_t integer_at(const nlohmann::json& object, std::string_view pointer, std::int64_t otherwise);
std::string label_of(const nlohmann::json& object, const std::string& label);
std::string annotation_of(const nlohmann::json& object, const std::string& annotation);

/// The ownerReferences entry that makes `owner` the controller of another object; blocks its foreground
/// deletion.
nlohmann::json controller_reference(const nlohmann::json& owner);
/// The uid of the owner marked as controller; "" when there is none.
std::string controller_uid_of(const nlohmann::json& object);

}  // namespace stepdown::kube

template <>
struct std::hash<stepdown::kube::ObjectKey> {
  std::size_t operator()(const stepdown::kube::ObjectKey& key) const noexcept {
    return std::hash<std::string>{}(key.ns) * 31 + std::hash<std::string>{}(key.name);
  }
};
