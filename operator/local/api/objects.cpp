#include "operator/local/api/objects.h"

#include <algorithm>

#include "operator/local/api/admission.h"
#include "operator/local/api/clock.h"
#include "operator/local/api/conversion.h"
#include "operator/local/api/custom_resources.h"
#include "operator/local/api/metadata.h"
#include "operator/local/api/schema_walk.h"
#include "operator/local/api/strategic_merge.h"

namespace stepdown::local::api {
namespace {

constexpr std::string_view kDefinitions = "customresourcedefinitions.apiextensions.k8s.io";

/// Older clients print Go's zero time as null.
void drop_null_metadata(Json& object) {
  if (!object.is_object() || !object.contains("metadata") || !object["metadata"].is_object()) return;
  Json& metadata = object["metadata"];
  for (auto it = metadata.begin(); it != metadata.end();)
    it = it->is_null() ? metadata.erase(it) : std::next(it);
}

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

bool counts_generations(const Resource& resource) {
  return resource.custom || resource.group == "apps" || resource.group == "batch" ||
         resource.group == "policy" || resource.storage == kDefinitions || resource.storage == "pods";
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

/// Built-in kinds are decoded into typed structures: a wrong type is no field error but an unreadable
/// request.
void check_types(const Json& object, const Resource& resource) {
  for (const Cause& cause : validate(object, nullptr, *resource.schema)) {
    if (cause.reason != "FieldValueTypeInvalid") continue;
    throw bad_request(resource.kind + " in version \"" + resource.version + "\" cannot be handled as a " +
                      resource.kind + ": json: cannot unmarshal: " + cause.field + ": " + cause.message);
  }
}

/// The schema's errors. What Go's types cannot leave out of a built-in status is zero there, not missing.
std::vector<Cause> check_schema(const Json& object, const Json* old, const Resource& resource) {
  std::vector<Cause> causes = validate(object, old, *resource.schema);
  if (!resource.custom) {
    std::erase_if(causes, [](const Cause& cause) {
      return cause.reason == "FieldValueRequired" && cause.field.starts_with("status.");
    });
  }
  return causes;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
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

}  // namespace

/// A write on its way: the object in the request's version, what to call it, and what was noticed.
struct Objects::Draft {
  Json object;
  Key key;
  std::string subresource;
  WriteOptions options;
  std::vector<std::string> warnings = {};
  bool applied = false;  ///< managedFields are settled

  Writer writer() const { return {options.manager, subresource, now_rfc3339()}; }
};

void Objects::decode(const Resource& resource, const std::string& space, Draft& draft) {
  Json& object = draft.object;
  drop_null_metadata(object);
  require_shape(object, cluster_.object_meta());
  check_kind(object, resource);
  object["apiVersion"] = resource.api_version();
  if (!object.contains("metadata") || object["metadata"].is_null()) object["metadata"] = Json::object();
  std::vector<std::string> unknown;
  prune(object, *resource.schema, true, unknown);
  if (!unknown.empty() && draft.options.field_validation != "Ignore") {
    std::vector<std::string> sentences;
    for (const std::string& path : unknown) sentences.push_back("unknown field \"" + path + "\"");
    if (draft.options.field_validation == "Strict") {
      throw bad_request(resource.kind + " in version \"" + resource.version + "\" cannot be handled as a " +
                        resource.kind + ": strict decoding error: " + joined(sentences));
    }
    draft.warnings.insert(draft.warnings.end(), sentences.begin(), sentences.end());
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

Json Objects::get(const Resource& resource, const std::string& space, const std::string& name) {
  auto object = cluster_.store().get({resource.storage, space, name});
  if (!object) throw not_found(resource.subject(name));
  return from_storage(std::move(*object), resource);
}

Outcome Objects::create(const Resource& resource, const std::string& space, Json object,
                        const WriteOptions& options) {
  Draft draft{std::move(object), {resource.storage, space, {}}, {}, options};
  decode(resource, space, draft);
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
      throw forbidden(subject, "unable to create new content in namespace " + draft.key.space +
                                   " because it is being terminated");
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
  decode(resource, space, draft);
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
  const Subject subject = resource.subject(name);
  if (!stored && (type != PatchType::kApply || !subresource.empty())) throw not_found(subject);
  const Json live = stored ? from_storage(std::move(*stored), resource) : Json::object();
  if (type == PatchType::kApply) {
    Draft config{patch, draft.key, subresource, options};
    drop_null_metadata(config.object);
    require_shape(config.object, cluster_.object_meta());
    check_kind(config.object, resource);
    if (!config.object.contains("metadata")) config.object["metadata"] = Json::object();
    if (config.object["metadata"].contains("managedFields") &&
        !config.object["metadata"]["managedFields"].empty()) {
      throw bad_request("metadata.managedFields must be nil");
    }
    if (!meta(config.object, "name").empty() && meta(config.object, "name") != name) {
      throw bad_request("the name of the object (" + meta(config.object, "name") +
                        ") does not match the name on the URL (" + name + ")");
    }
    config.object["metadata"]["name"] = name;
    if (const std::string version = meta(config.object, "resourceVersion");
        !version.empty() && stored && version != meta(live, "resourceVersion")) {
      throw conflict(
          subject,
          "the object has been modified; please apply your changes to the latest version and try again");
    }
    // Unknown fields are told about as they stand in the configuration, and never owned.
    std::vector<std::string> unknown;
    Json known = config.object;
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
    draft.object = apply_config(live, known, resource, draft.writer(), options.force);
    draft.object["apiVersion"] = resource.api_version();
    draft.object["kind"] = resource.kind;
    draft.applied = true;
    decode(resource, space, draft);
    if (!live.empty()) {
      draft.object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"];
      return update(resource, store, std::move(draft), live);
    }
    return insert(resource, store, std::move(draft));
  }
  try {
    if (type == PatchType::kJson) {
      if (!patch.is_array()) throw bad_request("a JSON patch must be an array of operations");
      draft.object = live.patch(patch);
    } else if (type == PatchType::kMerge) {
      if (!patch.is_object()) throw bad_request("a merge patch must be an object");
      draft.object = live;
      draft.object.merge_patch(patch);
    } else {
      if (!patch.is_object()) throw bad_request("a strategic merge patch must be an object");
      draft.object = strategic_merge(live, patch, resource.schema);
    }
  } catch (const Json::exception& error) {
    throw ApiError(
        422, "Invalid",
        std::string("the server rejected our request due to an error in our request: ") + error.what(),
        Json::object());
  }
  decode(resource, space, draft);
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

Outcome Objects::remove(const Resource& resource, const std::string& space, const std::string& name,
                        const DeleteOptions& options) {
  const Key key{resource.storage, space, name};
  const Subject subject = resource.subject(name);
  Store::Transaction store(cluster_.store());
  auto found = store.get(key);
  if (!found) throw not_found(subject);
  Json object = std::move(*found);
  const auto require = [&](const char* what, const std::string& wanted, const std::string& have) {
    if (wanted.empty() || wanted == have) return;
    throw conflict({resource.group, resource.kind, resource.kind, name},
                   "the " + std::string(what) + " in the precondition (" + wanted + ") does not match the " +
                       what + " in record (" + have + "). The object might have been " +
                       (std::string_view(what) == "UID" ? "deleted and then recreated" : "modified"));
  };
  require("UID", options.uid, meta(object, "uid"));
  require("ResourceVersion", options.resource_version, meta(object, "resourceVersion"));
  Json& metadata = object["metadata"];
  std::vector<std::string> finalizers = meta_list(object, "finalizers");
  const auto add_finalizer = [&](const char* finalizer) {
    if (std::find(finalizers.begin(), finalizers.end(), finalizer) != finalizers.end()) return;
    finalizers.emplace_back(finalizer);
    metadata["finalizers"] = finalizers;
  };
  if (options.propagation == "Foreground") add_finalizer("foregroundDeletion");
  if (options.propagation == "Orphan") add_finalizer("orphan");

  // A pod that a node runs is told to stop first; the node deletes it with grace 0 once it has.
  std::int64_t grace = 0;
  if (resource.storage == "pods" && !spec_text(object, "nodeName").empty()) {
    grace = options.grace_seconds.value_or(
        object["spec"].value("terminationGracePeriodSeconds", std::int64_t{30}));
    const std::string phase = object.contains("status") ? object["status"].value("phase", "") : "";
    if (phase == "Succeeded" || phase == "Failed" || grace < 0) grace = 0;
  }
  const bool space_waits =
      resource.storage == "namespaces" && !object["spec"].value("finalizers", Json::array()).empty();
  if (finalizers.empty() && grace == 0 && !space_waits) {
    Json last = object;
    if (!options.dry_run) {
      store.remove(key, last);
      store.commit();
      after_write(resource);
    }
    static const std::vector<std::string> kReturned = {"pods", "services", "persistentvolumeclaims",
                                                       "persistentvolumes", "serviceaccounts"};
    if (std::find(kReturned.begin(), kReturned.end(), resource.storage) != kReturned.end()) {
      return {200, from_storage(std::move(last), resource)};
    }
    Json details = {{"name", name}, {"kind", resource.plural}, {"uid", meta(object, "uid")}};
    if (!resource.group.empty()) details["group"] = resource.group;
    return {200,
            {{"kind", "Status"},
             {"apiVersion", "v1"},
             {"metadata", Json::object()},
             {"status", "Success"},
             {"details", details}}};
  }
  const bool first = !is_deleting(object);
  const bool sooner = !first && resource.storage == "pods" &&
                      grace < metadata.value("deletionGracePeriodSeconds", std::int64_t{0});
  if (first || sooner) {
    metadata["deletionTimestamp"] = now_rfc3339(grace);
    metadata["deletionGracePeriodSeconds"] = grace;
    if (counts_generations(resource) && first) metadata["generation"] = generation_of(object) + 1;
    if (resource.storage == "namespaces") object["status"]["phase"] = "Terminating";
  }
  if (!options.dry_run && (first || sooner || !options.propagation.empty())) {
    if (finalizers.empty() && grace == 0 && !space_waits) {
      store.remove(key, object);
    } else {
      store.put(key, object);
    }
    store.commit();
    after_write(resource);
  }
  return {200, from_storage(std::move(object), resource)};
}

void Objects::after_write(const Resource& resource) {
  if (resource.storage == kDefinitions) cluster_.reload();
}

}  // namespace stepdown::local::api
