#include "operator/local/api/draft.h"

#include "operator/local/api/admission.h"
#include "operator/local/api/clock.h"
#include "operator/local/api/custom_resources.h"
#include "operator/local/api/metadata.h"
#include "operator/local/api/schema_walk.h"

namespace stepdown::local::api {
namespace {

/// Built-in kinds are decoded into typed structures: a wrong type is no field error but an unreadable
/// request.
void check_types(const Json& object, const Resource& resource) {
  for (const Cause& cause : validate(object, nullptr, *resource.schema)) {
    if (cause.reason != "FieldValueTypeInvalid") continue;
    throw bad_request(resource.kind + " in version \"" + resource.version + "\" cannot be handled as a " +
                      resource.kind + ": json: cannot unmarshal: " + cause.field + ": " + cause.message);
  }
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

}  // namespace

/// Older clients print Go's zero time as null.
void drop_null_metadata(Json& object) {
  if (!object.is_object() || !object.contains("metadata") || !object["metadata"].is_object()) return;
  Json& metadata = object["metadata"];
  for (auto it = metadata.begin(); it != metadata.end();)
    it = it->is_null() ? metadata.erase(it) : std::next(it);
}

void check_kind(const Json& object, const Resource& resource) {
  const auto text = [&](const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  const std::string api_version = text("apiVersion");
  const std::string kind = text("kind");
  if (kind.empty()) {
    throw bad_request("Object 'Kind' is missing in '" +
                      object.dump(-1, ' ', false, Json::error_handler_t::replace) + "'");
  }
  if (kind != resource.kind || (api_version != resource.api_version() && !api_version.empty())) {
    throw bad_request("the API version in the data (" + api_version + ", Kind=" + kind +
                      ") does not match the expected API version (" + resource.api_version() +
                      ", Kind=" + resource.kind + ")");
  }
}

bool counts_generations(const Resource& resource) {
  return resource.custom || resource.group == "apps" || resource.group == "batch" ||
         resource.group == "policy" || resource.storage == kDefinitions || resource.storage == "pods";
}

Writer Objects::Draft::writer() const {
  return {options.manager, subresource, now_rfc3339()};
}

void Objects::Draft::decode(const Resource& resource, const Schema& object_meta) {
  const std::string& space = key.space;
  drop_null_metadata(object);
  require_shape(object, object_meta);
  check_kind(object, resource);
  object["apiVersion"] = resource.api_version();
  if (!object.contains("metadata") || object["metadata"].is_null()) object["metadata"] = Json::object();
  std::vector<std::string> unknown;
  prune(object, *resource.schema, true, unknown);
  if (!unknown.empty() && options.field_validation != "Ignore") {
    std::vector<std::string> sentences;
    for (const std::string& path : unknown) sentences.push_back("unknown field \"" + path + "\"");
    if (options.field_validation == "Strict") {
      throw bad_request(resource.kind + " in version \"" + resource.version + "\" cannot be handled as a " +
                        resource.kind + ": strict decoding error: " + joined(sentences));
    }
    warnings.insert(warnings.end(), sentences.begin(), sentences.end());
  }
  const std::string given = meta(object, "namespace");
  if (resource.namespaced) {
    if (!given.empty() && given != space) {
      throw bad_request(
          "the namespace of the provided object does not match the namespace sent on the request");
    }
    object["metadata"]["namespace"] = space;
  } else {
    object["metadata"].erase("namespace");
  }
  apply_defaults(object, *resource.schema);
  if (resource.custom) return;
  check_types(object, resource);
  complete_defaults(object, resource);
}

}  // namespace stepdown::local::api
