#include "operator/api/codec.h"

namespace stepdown::api {
namespace {

template <class T>
void take(const nlohmann::json& metadata, const char* name, T& to) {
  const auto found = metadata.find(name);
  if (found == metadata.end() || found->is_null()) return;
  Codec<T>::read(*found, to, {std::string("metadata.") + name, UnknownFields::kIgnore});
}

}  // namespace

Metadata parse_metadata(const nlohmann::json& object) {
  if (!object.is_object()) {
    throw InputError("expected an object, found " + std::string(object.type_name()), "$", "give a manifest");
  }
  Metadata parsed;
  const auto metadata = object.find("metadata");
  if (metadata == object.end()) return parsed;
  if (!metadata->is_object()) throw InputError("expected an object", "metadata", "give metadata.name");
  take(*metadata, "name", parsed.name);
  take(*metadata, "namespace", parsed.ns);
  take(*metadata, "uid", parsed.uid);
  take(*metadata, "resourceVersion", parsed.resource_version);
  take(*metadata, "creationTimestamp", parsed.creation_timestamp);
  take(*metadata, "generation", parsed.generation);
  take(*metadata, "labels", parsed.labels);
  take(*metadata, "annotations", parsed.annotations);
  take(*metadata, "finalizers", parsed.finalizers);
  std::string deleted_at;
  take(*metadata, "deletionTimestamp", deleted_at);
  parsed.deleting = !deleted_at.empty();
  return parsed;
}

}  // namespace stepdown::api
