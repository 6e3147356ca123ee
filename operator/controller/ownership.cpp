#include "operator/controller/ownership.h"

#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>

#include "operator/rollout/children/common.h"
#include "operator/rollout/names.h"

namespace stepdown::controller {
namespace {

using nlohmann::json;

std::string controller_of(const json& object) {
  const json& owners = kube::value_at(object, "/metadata/ownerReferences");
  if (!owners.is_array()) return "";
  for (const json& owner : owners) {
    if (kube::value_at(owner, "/controller") == true) {
      return kube::text_at(owner, "/kind") + " " + kube::text_at(owner, "/name");
    }
  }
  return "";
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_entry(const json& entry, std::string_view manager, std::string_view operation) {
  return kube::text_at(entry, "/manager") == manager && kube::text_at(entry, "/operation") == operation &&
         kube::text_at(entry, "/subresource").empty();
}

}  // namespace

bool belongs_to(std::string_view kind, const json& object, const kube::ObjectKey& model,
                const std::string& uid) {
  if (const std::string owner = kube::controller_uid_of(object); !owner.empty()) return owner == uid;
  const bool labelled = kube::label_of(object, rollout::children::kModelLabel) == model.name &&
                        kube::label_of(object, "app.kubernetes.io/managed-by") == "stepdown";
  if (kind == "PersistentVolumeClaim") {
    return labelled && kube::key_of(object).name == rollout::names::own_claim(model.name);
  }
  return labelled && kind == "QuantRevision";
}

std::string taken_message(std::string_view kind, const json& object) {
  const kube::ObjectKey key = kube::key_of(object);
  const std::string name(kind);
  const std::string owner = controller_of(object);
  std::string text = name + " " + key.name + " exists and is " +
                     (owner.empty() ? "not this model's" : "of " + owner) + ": remove it (kubectl delete " +
                     lower(name) + " " + key.name + " -n " + key.ns +
                     "), or name the QuantizedModel otherwise";
  if (kind == "PersistentVolumeClaim") text += ", or let it use this one: spec.storage.claimName";
  return text;
}

std::optional<json> owned_by_apply(const json& managed_fields, std::string_view manager) {
  if (!managed_fields.is_array()) return std::nullopt;
  json out = managed_fields;
  const auto of = [&](std::string_view operation) {
    return std::find_if(out.begin(), out.end(),
                        [&](const json& entry) { return is_entry(entry, manager, operation); });
  };
  const auto written = of("Update");
  if (written == out.end()) return std::nullopt;
  const auto applied = of("Apply");
  if (applied == out.end()) {
    (*written)["operation"] = "Apply";
    return out;
  }
  // A set of fields is a tree whose leaves are empty objects: merged, it is the union.
  (*applied)["fieldsV1"].merge_patch(kube::value_at(*written, "/fieldsV1"));
  out.erase(written);
  return out;
}

}  // namespace stepdown::controller
