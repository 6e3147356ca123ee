#include "operator/local/api/conversion.h"

#include <array>

namespace stepdown::local::api {
namespace {

// core/v1 name, events.k8s.io/v1 name.
constexpr std::array<std::pair<const char*, const char*>, 7> kEventFields = {
    {{"involvedObject", "regarding"},
     {"message", "note"},
     {"source", "deprecatedSource"},
     {"firstTimestamp", "deprecatedFirstTimestamp"},
     {"lastTimestamp", "deprecatedLastTimestamp"},
     {"count", "deprecatedCount"},
     {"reportingComponent", "reportingController"}}};

void rename(Json& object, const char* from, const char* to) {
  const auto it = object.find(from);
  if (it == object.end()) return;
  Json value = std::move(*it);
  object.erase(it);
  object[to] = std::move(value);
}

}  // namespace

Json to_storage(Json object, const Resource& resource) {
  if (resource.storage == "events" && !resource.group.empty()) {
    for (const auto& [core, modern] : kEventFields) rename(object, modern, core);
  }
  object["apiVersion"] = resource.storage_version;
  return object;
}

Json from_storage(Json object, const Resource& resource) {
  if (resource.storage == "events" && !resource.group.empty()) {
    for (const auto& [core, modern] : kEventFields) rename(object, core, modern);
  }
  object["apiVersion"] = resource.api_version();
  object["kind"] = resource.kind;
  return object;
}

}  // namespace stepdown::local::api
