#include "operator/local/node/pod_facts.h"

#include <nlohmann/json.hpp>

#include "operator/kube/object.h"
#include "operator/kube/time.h"

namespace stepdown::local {

using kube::text_at;
using kube::value_at;
using nlohmann::json;

std::optional<WallClock::time_point> pod_ready_since(const json& pod) {
  for (const json& condition : value_at(pod, "/status/conditions")) {
    if (text_at(condition, "/type") == "Ready" && text_at(condition, "/status") == "True") {
      return kube::parse_time(text_at(condition, "/lastTransitionTime")).value_or(WallClock::time_point{});
    }
  }
  return std::nullopt;
}

bool pod_ready(const json& pod) {
  return pod_ready_since(pod).has_value();
}

bool pod_over(const json& pod) {
  const std::string phase = text_at(pod, "/status/phase");
  return phase == "Succeeded" || phase == "Failed";
}

json pod_from_template(const json& owner, const json& pod_template, const std::string& name,
                       const json& labels, const std::string& node) {
  json pod = {{"apiVersion", "v1"},
              {"kind", "Pod"},
              {"metadata", value_at(pod_template, "/metadata")},
              {"spec", value_at(pod_template, "/spec")}};
  if (!pod["metadata"].is_object()) pod["metadata"] = json::object();
  pod["metadata"].erase("creationTimestamp");
  pod["metadata"]["name"] = name;
  pod["metadata"]["namespace"] = kube::key_of(owner).ns;
  pod["metadata"]["ownerReferences"] = {kube::controller_reference(owner)};
  if (!pod["metadata"]["labels"].is_object()) pod["metadata"]["labels"] = json::object();
  pod["metadata"]["labels"].update(labels);
  pod["spec"]["nodeName"] = node;
  return pod;
}

json with_condition(json conditions, const std::string& type, bool holds, const std::string& reason,
                    const std::string& message, WallClock::time_point now) {
  if (!conditions.is_array()) conditions = json::array();
  json wanted = {{"type", type},
                 {"status", holds ? "True" : "False"},
                 {"reason", reason},
                 {"message", message},
                 {"lastTransitionTime", kube::format_time(now)}};
  for (json& condition : conditions) {
    if (text_at(condition, "/type") != type) continue;
    if (text_at(condition, "/status") == text_at(wanted, "/status") &&
        condition.contains("lastTransitionTime")) {
      wanted["lastTransitionTime"] = condition["lastTransitionTime"];
    }
    condition.update(wanted);
    return conditions;
  }
  conditions.push_back(std::move(wanted));
  return conditions;
}

bool selects(const json& match_labels, const json& labels) {
  if (!match_labels.is_object() || match_labels.empty() || !labels.is_object()) return false;
  for (const auto& [key, value] : match_labels.items()) {
    const auto found = labels.find(key);
    if (found == labels.end() || *found != value) return false;
  }
  return true;
}

}  // namespace stepdown::local
