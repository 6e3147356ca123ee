#include "operator/local/api/scale.h"

#include "operator/local/api/metadata.h"

namespace stepdown::local::api {
namespace {

Json::json_pointer pointer(const Resource& resource, const char* key, const std::string& standard) {
  std::string path =
      resource.scale.is_object() ? resource.scale.value(key, standard) : standard;  // ".spec.replicas"
  for (char& c : path) c = c == '.' ? '/' : c;
  return Json::json_pointer(path);
}

Json integer(const Json& object, const Json::json_pointer& at) {
  return object.contains(at) && object[at].is_number_integer() ? object[at] : Json(0);
}

std::string selector_text(const Json& object) {
  const Json labels = object.value("/spec/selector/matchLabels"_json_pointer, Json::object());
  std::string out;
  for (const auto& [key, value] : labels.items())
    out += (out.empty() ? "" : ",") + key + "=" + (value.is_string() ? value.get<std::string>() : "");
  return out;
}

}  // namespace

Response scale(Objects& objects, const Resource& resource, const Target& target, const Json& body,
               const WriteOptions& options) {
  const auto wanted = pointer(resource, "specReplicasPath", ".spec.replicas");
  const auto current = pointer(resource, "statusReplicasPath", ".status.replicas");
  Json object = objects.get(resource, target.space, target.name);
  if (!body.is_null()) {
    const Json replicas = body.value("/spec/replicas"_json_pointer, Json());
    if (!replicas.is_number_integer() || replicas.get<std::int64_t>() < 0)
      throw bad_request("spec.replicas must be a number of at least 0");
    Json patch = Json::object();
    patch[wanted] = replicas;
    const std::string version = meta(body, "resourceVersion");
    if (!version.empty()) patch["metadata"]["resourceVersion"] = version;
    object = objects.patch(resource, target.space, target.name, "", PatchType::kMerge, patch, options).body;
  }
  const Json& metadata = object.at("metadata");
  Json shown = {{"name", target.name}, {"namespace", target.space}};
  for (const char* key : {"uid", "resourceVersion", "creationTimestamp"}) shown[key] = metadata.at(key);
  Json status = {{"replicas", integer(object, current)}};
  if (const std::string selector = selector_text(object); !selector.empty()) status["selector"] = selector;
  return json_response(200, {{"kind", "Scale"},
                             {"apiVersion", "autoscaling/v1"},
                             {"metadata", shown},
                             {"spec", {{"replicas", integer(object, wanted)}}},
                             {"status", status}});
}

}  // namespace stepdown::local::api
