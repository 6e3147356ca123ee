#include "operator/controller/difference.h"

#include <nlohmann/json.hpp>

#include "operator/api/condition.h"
#include "operator/kube/object.h"
#include "operator/rollout/children/common.h"

namespace stepdown::controller {
namespace {

using nlohmann::json;

bool holds(const json& observed, const json& desired) {
  if (desired.is_object()) {
    if (!observed.is_object()) return desired.empty() && observed.is_null();
    for (const auto& [key, value] : desired.items()) {
      if (key == "resources") continue;
      const auto found = observed.find(key);
      if (found == observed.end() ? !(value.is_object() && value.empty()) : !holds(*found, value))
        return false;
    }
    return true;
  }
  if (desired.is_array()) {
    if (!observed.is_array() || observed.size() != desired.size()) return false;
    for (std::size_t i = 0; i < desired.size(); ++i) {
      if (!holds(observed[i], desired[i])) return false;
    }
    return true;
  }
  return observed == desired;
}

}  // namespace

bool must_apply(const json& desired, const json& observed) {
  const auto hash = [](const json& object) {
    return kube::annotation_of(object, rollout::children::kAppliedHash);
  };
  return hash(desired) != hash(observed) || !holds(observed, desired);
}

json own_status(json status) {
  status.erase("verdict");
  if (const auto conditions = status.find("conditions"); conditions != status.end()) {
    std::erase_if(conditions->get_ref<json::array_t&>(),
                  [](const json& each) { return each.value("type", "") == api::condition::kCanaryHealthy; });
  }
  return status;
}

}  // namespace stepdown::controller
