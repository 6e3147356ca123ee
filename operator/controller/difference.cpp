#include "operator/controller/difference.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "operator/api/condition.h"
#include "operator/api/values.h"
#include "operator/kube/object.h"
#include "operator/rollout/children/common.h"

namespace stepdown::controller {
namespace {

using nlohmann::json;

/// The API server writes 1024Mi as 1Gi and 0.5 as 500m, and rounds up to thousandths. What is no quantity it
/// refuses.
bool same_quantity(const json& a, const json& b) {
  const auto read = [](const json& value) {
    return api::parse_amount(value.is_string() ? value.get<std::string>() : value.dump());
  };
  const auto one = read(a), other = read(b);
  if (!one || !other) return true;
  return std::abs(*one - *other) <= std::max(1e-3, 1e-9 * std::max(std::abs(*one), std::abs(*other)));
}

/// Of requests and limits, what is desired; another's stay another's.
bool holds_resources(const json& observed, const json& desired) {
  for (const auto& [list, amounts] : desired.items()) {
    if (!amounts.is_object()) continue;
    for (const auto& [name, amount] : amounts.items()) {
      const auto found = observed.is_object() ? observed.find(list) : observed.end();
      if (found == observed.end() || !found->is_object() || !found->contains(name) ||
          !same_quantity(found->at(name), amount))
        return false;
    }
  }
  return true;
}

bool holds(const json& observed, const json& desired) {
  if (desired.is_object()) {
    if (!observed.is_object()) return desired.empty() && observed.is_null();
    for (const auto& [key, value] : desired.items()) {
      const auto found = observed.find(key);
      if (key == "resources" && value.is_object()) {
        if (!holds_resources(found == observed.end() ? json() : *found, value)) return false;
        continue;
      }
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
