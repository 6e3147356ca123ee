#include "operator/cli/crd_check.h"

#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "operator/kube/object.h"
#include "operator/local/api/schema_walk.h"
#include "operator/local/supervisor/crds.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

/// The schema of each kind's version, compiled once, as the embedded API server has them.
class CrdSchemas {
 public:
  CrdSchemas() {
    for (const json& crd : local::crd_documents()) {
      by_kind_[kube::text_at(crd, "/spec/names/kind")] =
          set_.compile(crd.at("spec").at("versions").at(0).at("schema").at("openAPIV3Schema"));
    }
  }

  const local::api::Schema* find(const std::string& kind) const {
    const auto found = by_kind_.find(kind);
    return found == by_kind_.end() ? nullptr : found->second;
  }

 private:
  json no_definitions_ = json::object();
  local::api::SchemaSet set_{no_definitions_};
  std::map<std::string, const local::api::Schema*> by_kind_;
};

}  // namespace

std::vector<InputError> crd_faults(const json& object) {
  static const CrdSchemas kSchemas;
  const local::api::Schema* schema = kSchemas.find(kube::text_at(object, "/kind"));
  if (schema == nullptr || !object.is_object()) return {};
  json whole = object;
  whole.erase("status");
  local::api::apply_defaults(whole, *schema);
  std::vector<InputError> faults;
  for (const local::api::Cause& cause : local::api::validate(whole, nullptr, *schema)) {
    // "<nil>" tells that rules were left out because of the others.
    if (cause.field.starts_with("metadata") || cause.field == "<nil>") continue;
    faults.emplace_back(cause.message, cause.field, "kubectl explain tells what the field takes");
  }
  return faults;
}

}  // namespace stepdown::cli
