#include "operator/local/api/objects.h"

#include "operator/local/api/admission.h"
#include "operator/local/api/clock.h"
#include "operator/local/api/conversion.h"
#include "operator/local/api/custom_resources.h"
#include "operator/local/api/draft.h"
#include "operator/local/api/metadata.h"
#include "operator/local/api/patch.h"
#include "operator/local/api/schema_walk.h"

namespace stepdown::local::api {
namespace {

/// What the server alone writes; a client's values give way to the live object's.
void keep_server_fields(Json& object, const Json& live) {
  Json& metadata = object["metadata"];
  const Json& old = live.at("metadata");
  for (const char* key : {"uid", "creationTimestamp", "generation", "deletionTimestamp",
                          "deletionGracePeriodSeconds", "selfLink", "namespace", "name", "generateName"}) {
    if (old.contains(key)) {
      metadata[key] = old[key];
    } else {
      metadata.erase(key);
    }
  }
}

/// Everything but metadata and status: a change of it is a new generation.
Json desired(const Json& object, const Resource& resource) {
  Json out = object;
  out.erase("metadata");
  if (resource.has("status")) out.erase("status");
  return out;
}

/// The schema's errors. What Go's types cannot leave out of a built-in status is zero there, not missing.
std::vector<Cause> check_schema(const Json& object, const Json* old, const Resource& resource) {
  std::vector<Cause> causes = validate(object, old, *resource.schema, resource.metadata_limits);
  if (!resource.custom) {
    std::erase_if(causes, [](const Cause& cause) {
      return cause.reason == "FieldValueRequired" && cause.field.starts_with("status.");
    });
  }
  return causes;
}

Json default_token_object(const std::string& space) {
  return {{"apiVersion", "v1"},
          {"kind", "ServiceAccount"},
          {"metadata",
           {{"name", "default"},
            {"namespace", space},
            {"uid", random_uid()},
            {"creationTimestamp", now_rfc3339()}}}};
}

/// kubectl's client-side apply compares with this annotation: its server-side apply keeps it true.
void keep_last_applied(Json& object, const Json& live, Json applied, const std::string& manager) {
  constexpr const char* kAnnotation = "kubectl.kubernetes.io/last-applied-configuration";
  const Json::json_pointer place("/metadata/annotations");
  if (manager != "kubectl" || !live.contains(place) || !live.at(place).contains(kAnnotation)) return;
  if (applied.contains(place)) applied[place].erase(kAnnotation);
  applied["metadata"].erase("managedFields");
  object[place][kAnnotation] = applied.dump() + "\n";
}

}  // namespace

Json Objects::get(const Resource& resource, const std::string& space, const std::string& name) {
  auto object = cluster_.store().get({resource.storage, space, name});
  if (!object) throw not_found(resource.subject(name));
  return from_storage(std::move(*object), resource);
}

Outcome Objects::create(const Resource& resource, const std::string& space, Json object,
                        const WriteOptions& options) {
  Draft draft{std::move(object), {resource.storage, space, {}}, {}, options};
  draft.decode(resource, cluster_.object_meta());
  if (!meta(draft.object, "resourceVersion").empty())
    throw bad_request("resourceVersion should not be set on objects to be created");
  Store::Transaction store(cluster_.store());
  return insert(resource, store, std::move(draft));
}

Outcome Objects::insert(const Resource& resource, Store::Transaction& store, Draft draft) {
  Json& object = draft.object;
  Json& metadata = object["metadata"];
  if (meta(object, "name").empty() && !meta(object, "generateName").empty()) {
    metadata["name"] = meta(object, "generateName") + random_suffix();
  }
  draft.key.name = meta(object, "name");
  const Subject subject = resource.subject(draft.key.name);
  if (resource.namespaced) {
    const auto space = store.get({"namespaces", "", draft.key.space});
    if (!space) throw not_found({"", "namespaces", "Namespace", draft.key.space});
    if (is_deleting(*space)) {
      throw ending_namespace(subject, draft.key.space);
    }
  }
  if (!draft.key.name.empty() && store.get(draft.key)) throw already_exists(subject);
  for (const char* key : {"selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"})
    metadata.erase(key);
  metadata.erase("resourceVersion");
  metadata["uid"] = random_uid();
  metadata["creationTimestamp"] = now_rfc3339();
  if (counts_generations(resource)) metadata["generation"] = 1;
  if (resource.has("status")) {
    object.erase("status");
    // An empty status may have a default. Built-in ones stay empty: what their types require comes with the
    // first status that somebody writes.
    const Schema* status = resource.schema->member("status");
    if (resource.custom) {
      apply_defaults(object, *resource.schema);
    } else if (status != nullptr && status->default_value) {
      object["status"] = *status->default_value;
    }
  }
  const bool definition = resource.storage == kDefinitions;
  if (!draft.applied) {
    metadata.erase("managedFields");
    record_update(Json::object(), object, resource, draft.writer());
  }
  if (!resource.custom) admit(object, resource, {nullptr, &store});
  std::vector<Cause> causes = check_metadata(object, nullptr, resource);
  for (Cause& cause : check_schema(object, nullptr, resource)) causes.push_back(std::move(cause));
  if (causes.empty() && definition) causes = check_definition(object, cluster_.builtin_schemas());
  if (!resource.custom) {
    for (Cause& cause : check_builtin(object, nullptr, resource)) causes.push_back(std::move(cause));
  }
  if (!causes.empty())
    throw invalid({resource.group, resource.plural, resource.kind, draft.key.name}, causes);
  Json stored = to_storage(object, resource);
  if (!draft.options.dry_run) {
    store.put(draft.key, stored);
    if (resource.storage == "namespaces") {
      Json account = default_token_object(draft.key.name);
      store.put({"serviceaccounts", draft.key.name, "default"}, account);
    }
    store.commit();
    after_write(resource);
  }
  return {201, from_storage(std::move(stored), resource), std::move(draft.warnings)};
}

Outcome Objects::replace(const Resource& resource, const std::string& space, const std::string& name,
                         const std::string& subresource, Json object, const WriteOptions& options) {
  Draft draft{std::move(object), {resource.storage, space, name}, subresource, options};
  draft.decode(resource, cluster_.object_meta());
  if (const std::string given = meta(draft.object, "name"); given != name) {
    throw bad_request("the name of the object (" + given + ") does not match the name on the URL (" + name +
                      ")");
  }
  Store::Transaction store(cluster_.store());
  auto live = store.get(draft.key);
  if (!live) throw not_found(resource.subject(name));
  return update(resource, store, std::move(draft), from_storage(std::move(*live), resource));
}

Outcome Objects::patch(const Resource& resource, const std::string& space, const std::string& name,
                       const std::string& subresource, PatchType type, const Json& patch,
                       const WriteOptions& options) {
  Draft draft{{}, {resource.storage, space, name}, subresource, options};
  Store::Transaction store(cluster_.store());
  auto stored = store.get(draft.key);
  if (!stored && (type != PatchType::kApply || !subresource.empty())) throw not_found(resource.subject(name));
  const Json live = stored ? from_storage(std::move(*stored), resource) : Json::object();
  if (type == PatchType::kApply) {
    const Json known =
        applied_configuration(patch, live, resource, draft.key, subresource, cluster_.object_meta());
    draft.object = apply_config(live, known, resource, draft.writer(), options.force);
    draft.object["apiVersion"] = resource.api_version();
    draft.object["kind"] = resource.kind;
    draft.applied = true;
    keep_last_applied(draft.object, live, patch, options.manager);
    draft.decode(resource, cluster_.object_meta());
    if (!live.empty()) {
      draft.object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"];
      return update(resource, store, std::move(draft), live);
    }
    return insert(resource, store, std::move(draft));
  }
  draft.object = patched(live, patch, type, resource);
  if (const std::string uid = meta(draft.object, "uid"); !uid.empty() && uid != meta(live, "uid")) {
    throw invalid(resource.subject(name),
                  {invalid_field("metadata.uid", in_quotes(uid), "field is immutable")});
  }
  draft.decode(resource, cluster_.object_meta());
  if (meta(draft.object, "name") != name) throw bad_request("metadata.name cannot be changed by a patch");
  return update(resource, store, std::move(draft), live);
}

Outcome Objects::update(const Resource& resource, Store::Transaction& store, Draft draft, const Json& live) {
  const Subject subject = resource.subject(draft.key.name);
  Json& object = draft.object;
  if (const std::string version = meta(object, "resourceVersion");
      !version.empty() && version != meta(live, "resourceVersion")) {
    throw conflict(
        subject,
        "the object has been modified; please apply your changes to the latest version and try again");
  }
  // Kinds that may not be written blindly.
  const bool guarded =
      resource.custom || resource.storage == kDefinitions || resource.storage == "leases.coordination.k8s.io";
  if (guarded && meta(object, "resourceVersion").empty()) {
    throw invalid({resource.group, resource.plural, resource.plural, draft.key.name},
                  {invalid_field("metadata.resourceVersion", "0", "must be specified for an update")});
  }
  if (const std::string uid = meta(object, "uid"); !uid.empty() && uid != meta(live, "uid")) {
    throw conflict(subject, "Precondition failed: UID in precondition: " + uid +
                                ", UID in object meta: " + meta(live, "uid"));
  }
  if (draft.subresource == "status") {
    Json next = live;
    if (object.contains("status")) {
      next["status"] = std::move(object["status"]);
    } else {
      next.erase("status");
    }
    if (object["metadata"].contains("managedFields"))
      next["metadata"]["managedFields"] = object["metadata"]["managedFields"];
    object = std::move(next);
  } else if (resource.has("status")) {
    if (live.contains("status")) {
      object["status"] = live["status"];
    } else {
      object.erase("status");
    }
  }
  keep_server_fields(object, live);
  object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"];
  if (!resource.custom && draft.subresource.empty()) admit(object, resource, {&live, &store});
  if (draft.subresource.empty() && counts_generations(resource) &&
      desired(object, resource) != desired(live, resource)) {
    object["metadata"]["generation"] = generation_of(live) + 1;
  }
  std::vector<Cause> causes = check_metadata(object, &live, resource);
  for (Cause& cause : check_schema(object, &live, resource)) causes.push_back(std::move(cause));
  if (!resource.custom && draft.subresource.empty()) {
    for (Cause& cause : check_builtin(object, &live, resource)) causes.push_back(std::move(cause));
  }
  if (causes.empty() && resource.storage == kDefinitions)
    causes = check_definition(object, cluster_.builtin_schemas());
  if (!causes.empty())
    throw invalid({resource.group, resource.plural, resource.kind, draft.key.name}, causes);
  if (!draft.applied) record_update(live, object, resource, draft.writer());
  if (same_but_times(object, live)) return {200, live, std::move(draft.warnings)};

  Json stored = to_storage(object, resource);
  const bool finished =
      is_deleting(object) && meta_list(object, "finalizers").empty() &&
      (resource.storage != "pods" || object["metadata"].value("deletionGracePeriodSeconds", 0) == 0) &&
      (resource.storage != "namespaces" || object["spec"].value("finalizers", Json::array()).empty());
  if (!draft.options.dry_run) {
    if (finished) {
      store.remove(draft.key, stored);
    } else {
      store.put(draft.key, stored);
    }
    store.commit();
    after_write(resource);
  }
  return {200, from_storage(std::move(stored), resource), std::move(draft.warnings)};
}

void Objects::after_write(const Resource& resource) {
  if (resource.storage == kDefinitions) cluster_.reload();
}

}  // namespace stepdown::local::api
