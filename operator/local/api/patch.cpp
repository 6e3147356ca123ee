#include "operator/local/api/patch.h"

#include <algorithm>

#include "operator/local/api/draft.h"
#include "operator/local/api/metadata.h"
#include "operator/local/api/schema_walk.h"
#include "operator/local/api/strategic_merge.h"

namespace stepdown::local::api {
namespace {

constexpr std::size_t kMostOperations = 10'000;  // both as the API server's
constexpr std::size_t kMostCopied = 3U << 20U;  // bytes: a value that is copied into itself doubles each time

bool is_copy(const Json& operation) {
  return operation.is_object() && operation.value("op", Json()) == "copy" &&
         operation.value("from", Json()).is_string();
}

Json apply_operations(const Json& live, const Json& patch) {
  if (!patch.is_array()) throw bad_request("a JSON patch must be an array of operations");
  if (patch.size() > kMostOperations) {
    throw ApiError(413, "RequestEntityTooLarge",
                   "The allowed maximum operations in a JSON patch is " + std::to_string(kMostOperations) +
                       ", got " + std::to_string(patch.size()));
  }
  if (std::ranges::none_of(patch, is_copy)) return live.patch(patch);
  Json object = live;
  std::size_t copied = 0;
  for (const Json& operation : patch) {
    if (is_copy(operation)) {
      copied += object.at(Json::json_pointer(operation["from"].get<std::string>())).dump().size();
      if (copied > kMostCopied) {
        throw ApiError(
            422, "Invalid",
            "the server rejected our request due to an error in our request: what 'copy' adds is over " +
                std::to_string(kMostCopied) + " bytes",
            Json::object());
      }
    }
    object.patch_inplace(Json::array({operation}));
  }
  return object;
}

}  // namespace

Json applied_configuration(const Json& patch, const Json& live, const Resource& resource, const Key& key,
                           const std::string& subresource, const Schema& object_meta) {
  Json config = patch;
  const std::string& name = key.name;
  const std::string& space = key.space;
  drop_null_metadata(config);
  require_shape(config, object_meta);
  check_kind(config, resource);
  if (!config.contains("metadata")) config["metadata"] = Json::object();
  if (config["metadata"].contains("managedFields") && !config["metadata"]["managedFields"].empty()) {
    throw bad_request("metadata.managedFields must be nil");
  }
  if (!meta(config, "name").empty() && meta(config, "name") != name) {
    throw bad_request("the name of the object (" + meta(config, "name") +
                      ") does not match the name on the URL (" + name + ")");
  }
  config["metadata"]["name"] = name;
  if (const std::string version = meta(config, "resourceVersion");
      !version.empty() && !live.empty() && version != meta(live, "resourceVersion")) {
    throw conflict(
        resource.subject(name),
        "the object has been modified; please apply your changes to the latest version and try again");
  }
  // Unknown fields are told about as they stand in the configuration, and never owned.
  std::vector<std::string> unknown;
  Json known = config;
  prune(known, *resource.schema, true, unknown);
  if (!unknown.empty()) {
    throw ApiError(500, "",
                   "failed to create typed patch object (" + meta(patch, "namespace") + "/" + name + "; " +
                       resource.api_version() + ", Kind=" + resource.kind + "): ." + unknown.front() +
                       ": field not declared in schema");
  }
  if (resource.namespaced) known["metadata"]["namespace"] = space;
  if (!subresource.empty()) {
    Json narrow = {
        {"apiVersion", known["apiVersion"]}, {"kind", known["kind"]}, {"metadata", {{"name", name}}}};
    if (resource.namespaced) narrow["metadata"]["namespace"] = space;
    if (known.contains(subresource)) narrow[subresource] = known[subresource];
    known = std::move(narrow);
  } else if (resource.has("status")) {
    known.erase("status");
  }
  return known;
}

Json patched(const Json& live, const Json& patch, PatchType type, const Resource& resource) {
  try {
    if (type == PatchType::kJson) {
      return apply_operations(live, patch);
    } else if (type == PatchType::kMerge) {
      if (!patch.is_object()) throw bad_request("a merge patch must be an object");
      Json object = live;
      object.merge_patch(patch);
      return object;
    } else {
      if (!patch.is_object()) throw bad_request("a strategic merge patch must be an object");
      return strategic_merge(live, patch, resource.schema);
    }
  } catch (const Json::exception& error) {
    throw ApiError(
        422, "Invalid",
        std::string("the server rejected our request due to an error in our request: ") + error.what(),
        Json::object());
  }
}

}  // namespace stepdown::local::api
