#include "operator/local/api/router.h"

#include "engine/base/bounded_json.h"
#include "engine/base/log.h"
#include "engine/base/version.h"
#include "operator/local/api/body.h"
#include "operator/local/api/clock.h"
#include "operator/local/api/conversion.h"
#include "operator/local/api/discovery.h"
#include "operator/local/api/metadata.h"
#include "operator/local/api/openapi.h"
#include "operator/local/api/pod_log.h"
#include "operator/local/api/rbac.h"
#include "operator/local/api/reader.h"
#include "operator/local/api/scale.h"
#include "operator/local/api/selector.h"

namespace stepdown::local::api {
namespace {

constexpr std::string_view kOpenApiV3 = "/openapi/v3/";

/// The release whose behaviour is recorded and replayed.
Json version() {
  return {{"major", "1"},
          {"minor", "34"},
          {"gitVersion", "v1.34.2+stepdown." + std::string(kVersion)},
          {"gitCommit", ""},
          {"gitTreeState", "clean"},
          {"buildDate", "1970-01-01T00:00:00Z"},
          {"goVersion", "none"},
          {"compiler", "c++20"},
          {"platform", "linux/local"}};
}

Response plain(const std::string& text) {
  Response response;
  response.content_type = "text/plain; charset=utf-8";
  response.body = text;
  return response;
}

/// What no API group answers is plain text, as from the API server's own mux.
Response page_not_found() {
  Response response = plain("404 page not found\n");
  response.code = 404;
  return response;
}

/// What takes a connection into a container: refused with another way to the same end.
void refuse_sessions(const std::string& subresource) {
  static const std::map<std::string, std::string, std::less<>> kOtherWays = {
      {"exec", "containers are processes of this machine: see them with ps, their files under DIR/pods"},
      {"attach", "read its output with kubectl logs -f"},
      {"portforward", "connect to the pod's IP (kubectl get pod -o wide) or the Service's clusterIP"},
      {"proxy", "connect to the pod's IP (kubectl get pod -o wide)"}};
  const auto found = kOtherWays.find(subresource);
  if (found == kOtherWays.end()) return;
  throw ApiError(501, "NotImplemented",
                 "the embedded API does not support " + subresource + ": " + found->second);
}

bool dry_run(const Request& request) {
  const std::string value = request.param("dryRun");
  if (value.empty()) return false;
  if (value != "All") {
    throw ApiError(422, "Invalid",
                   "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: " +
                       in_quotes(value) + ": supported values: \"All\"");
  }
  return true;
}

WriteOptions write_options(const Request& request) {
  WriteOptions options;
  options.dry_run = dry_run(request);
  options.force = request.flag("force");
  options.manager = request.param("fieldManager");
  if (options.manager.empty()) options.manager = request.user_agent.substr(0, request.user_agent.find('/'));
  if (options.manager.empty()) options.manager = "unknown";
  if (options.manager.size() > 128) {
    throw ApiError(422, "Invalid", "fieldManager: Too long: may not be more than 128 bytes");
  }
  options.field_validation = request.param("fieldValidation");
  if (options.field_validation.empty()) options.field_validation = "Warn";
  if (options.field_validation != "Strict" && options.field_validation != "Warn" &&
      options.field_validation != "Ignore") {
    throw bad_request("fieldValidation: Unsupported value: " + in_quotes(options.field_validation));
  }
  return options;
}

DeleteOptions delete_options(const Request& request) {
  DeleteOptions options;
  options.dry_run = dry_run(request);
  options.grace_seconds = request.number("gracePeriodSeconds");
  options.propagation = request.param("propagationPolicy");
  if (request.flag("orphanDependents")) options.propagation = "Orphan";
  if (!request.body.empty()) {
    const Json body = parse_body(request.body, request.content_type);
    if (!body.is_object()) throw bad_request("DeleteOptions must be an object");
    if (body.value("gracePeriodSeconds", Json()).is_number_integer())
      options.grace_seconds = body["gracePeriodSeconds"].get<std::int64_t>();
    if (body.value("propagationPolicy", Json()).is_string()) options.propagation = body["propagationPolicy"];
    if (body.value("orphanDependents", Json()) == true) options.propagation = "Orphan";
    const Json preconditions = body.value("preconditions", Json());
    if (preconditions.is_object()) {
      if (preconditions.value("uid", Json()).is_string()) options.uid = preconditions["uid"];
      if (preconditions.value("resourceVersion", Json()).is_string())
        options.resource_version = preconditions["resourceVersion"];
    }
    if (body.value("dryRun", Json()).is_array() && !body["dryRun"].empty()) options.dry_run = true;
  }
  static const std::vector<std::string> kPolicies = {"", "Background", "Foreground", "Orphan"};
  if (std::find(kPolicies.begin(), kPolicies.end(), options.propagation) == kPolicies.end()) {
    throw ApiError(422, "Invalid",
                   "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: " +
                       in_quotes(options.propagation) +
                       ": supported values: \"Background\", \"Foreground\", \"Orphan\"");
  }
  return options;
}

PatchType patch_type(const Request& request, const Resource& resource) {
  const std::string media = request.content_type.substr(0, request.content_type.find(';'));
  if (media == "application/json-patch+json") return PatchType::kJson;
  if (media == "application/merge-patch+json") return PatchType::kMerge;
  if (media == "application/apply-patch+yaml") return PatchType::kApply;
  if (media == "application/strategic-merge-patch+json" && !resource.custom) return PatchType::kStrategic;
  throw unsupported_media_type(
      "the body of the request was in an unknown format - accepted media types include: "
      "application/json-patch+json, "
      "application/merge-patch+json, application/apply-patch+yaml" +
      std::string(resource.custom ? "" : ", application/strategic-merge-patch+json"));
}

Response respond(const Resource& resource, const Request& request, Outcome outcome) {
  const View view = view_of(request.accept, request.param("includeObject"));
  const bool object = outcome.body.value("kind", "") != "Status";
  Response response =
      json_response(outcome.code, object ? shown(resource, outcome.body, view) : outcome.body);
  response.warnings = std::move(outcome.warnings);
  return response;
}

}  // namespace

Response Router::handle(const Request& request) {
  try {
    if (request.impersonate.name.empty() && request.impersonate.groups.empty()) return route(request);
    Request own = request;
    own.user = effective_user(cluster_, request);
    return route(own);
  } catch (const ApiError& error) {
    return json_response(error.code(), error.status());
  } catch (const Json::exception& error) {
    return json_response(
        400, bad_request("the request's object has an unexpected shape: " + plain_words(error)).status());
  } catch (const std::exception& error) {
    log::error("a request failed",
               {{"method", request.method}, {"path", request.path}, {"why", error.what()}});
    return json_response(500, internal_error(error.what()).status());
  }
}

Response Router::route(const Request& request) {
  const std::string& path = request.path;
  if (path == "/healthz" || path == "/livez" || path == "/readyz" || path.starts_with("/livez/") ||
      path.starts_with("/readyz/"))
    return plain(request.query.contains("verbose")
                     ? "[+]ping ok\n[+]store ok\n" + path.substr(1) + " check passed\n"
                     : "ok");
  if (path == "/version" || path == "/version/") return json_response(200, version());
  authorize_path(cluster_, request);
  const auto registry = cluster_.registry();
  const bool reading = request.method == "GET" || request.method == "HEAD";
  if (reading) {
    const std::string trimmed =
        path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
    if (const auto found = discover(*registry, trimmed)) return json_response(200, *found);
    if (trimmed == "/openapi/v3") return json_response(200, openapi_v3_index(*registry));
    if (path.starts_with(kOpenApiV3)) {
      const Json document = openapi_v3(*registry, cluster_.builtin_schemas(), path.substr(kOpenApiV3.size()));
      if (!document.is_null()) return json_response(200, document);
    }
    if (trimmed == "/openapi/v2")
      return openapi_v2_response(*registry, cluster_.builtin_schemas(), request.accept);
  }
  if (const auto target = parse_target(request)) {
    if (target->group == "authorization.k8s.io" && target->plural == "selfsubjectaccessreviews" &&
        target->verb == "create") {
      return json_response(201, review_access(cluster_, request));
    }
    if (target->group == "authorization.k8s.io" && target->plural == "selfsubjectrulesreviews" &&
        target->verb == "create") {
      return json_response(201, review_rules(cluster_, request));
    }
    if (target->group == "authentication.k8s.io" && target->plural == "selfsubjectreviews" &&
        target->verb == "create") {
      return json_response(201, review_self(request));
    }
    return resource_request(*target, request);
  }
  return page_not_found();
}

Response Router::resource_request(const Target& parsed, const Request& request) {
  Target target = parsed;
  const auto registry = cluster_.registry();
  const auto resource = registry->find(target.group, target.version, target.plural);
  authorize(cluster_, request.user, target);
  if (!resource) return page_not_found();
  if (resource->namespaced ? (target.space.empty() && !target.name.empty()) : !target.space.empty())
    throw path_not_found();
  if (!target.subresource.empty()) return subresource(target, *resource, request);
  const bool needs_name = target.verb == "update" || target.verb == "patch";
  if (target.verb.empty() || !resource->allows(target.verb) || (needs_name && target.name.empty())) {
    throw method_not_allowed("the server does not allow this method on the requested resource");
  }
  if (target.verb == "list") return list_objects(cluster_, *resource, target, request);
  if (target.verb == "watch") return watch_objects(cluster_, resource, target, request);
  if (target.verb == "get") {
    const View view = view_of(request.accept, request.param("includeObject"));
    return json_response(200, shown(*resource, objects_.get(*resource, target.space, target.name), view));
  }
  if (target.verb == "deletecollection") return remove_collection(target, *resource, request);
  return write(target, *resource, request);
}

Response Router::write(const Target& target, const Resource& resource, const Request& request) {
  if (target.verb == "delete") {
    return respond(resource, request,
                   objects_.remove(resource, target.space, target.name, delete_options(request)));
  }
  const WriteOptions options = write_options(request);
  if (target.verb == "create") {
    if (!target.name.empty())
      throw method_not_allowed("the server does not allow this method on the requested resource");
    if (resource.namespaced && target.space.empty())
      throw bad_request("an empty namespace may not be set during creation");
    return respond(
        resource, request,
        objects_.create(resource, target.space, parse_body(request.body, request.content_type), options));
  }
  if (target.verb == "update") {
    Json object = parse_body(request.body, request.content_type);
    return respond(resource, request,
                   objects_.replace(resource, target.space, target.name, target.subresource,
                                    std::move(object), options));
  }
  const PatchType type = patch_type(request, resource);
  if (type == PatchType::kApply && request.param("fieldManager").empty()) {
    throw invalid({"meta.k8s.io", "", "PatchOptions", ""},
                  {required_field("fieldManager", "is required for apply patch")});
  }
  const Json patch =
      parse_body(request.body, type == PatchType::kApply ? "application/yaml" : "application/json");
  return respond(
      resource, request,
      objects_.patch(resource, target.space, target.name, target.subresource, type, patch, options));
}

Response Router::subresource(const Target& target, const Resource& resource, const Request& request) {
  if (resource.plural == "pods") refuse_sessions(target.subresource);
  if (!resource.has(target.subresource)) throw path_not_found();
  const bool object_verb = target.verb == "get" || target.verb == "update" || target.verb == "patch";
  if (target.subresource == "status" && object_verb) {
    if (target.verb != "get") return write(target, resource, request);
    return json_response(
        200, shown(resource, objects_.get(resource, target.space, target.name), view_of(request.accept, "")));
  }
  if (target.subresource == "scale" && object_verb) {
    return scale(objects_, resource, target,
                 request.method == "GET" ? Json() : parse_body(request.body, "application/json"),
                 write_options(request));
  }
  if (target.subresource == "log" && target.verb == "get") {
    return pod_log(pod_logs_, objects_.get(resource, target.space, target.name), request);
  }
  if (target.subresource == "finalize" && target.verb == "update") {
    Json object = parse_body(request.body, request.content_type);
    return respond(
        resource, request,
        objects_.replace(resource, "", target.name, "", std::move(object), write_options(request)));
  }
  if (target.subresource == "binding" && target.verb == "create") {
    const Json body = parse_body(request.body, request.content_type);
    const Json patch = {{"spec", {{"nodeName", body.at("target").at("name")}}}};
    objects_.patch(resource, target.space, target.name, "", PatchType::kMerge, patch, write_options(request));
    return json_response(201, {{"kind", "Status"},
                               {"apiVersion", "v1"},
                               {"metadata", Json::object()},
                               {"status", "Success"},
                               {"code", 201}});
  }
  if (target.subresource == "eviction" && target.verb == "create") {
    objects_.remove(resource, target.space, target.name, {});
    return json_response(201, {{"kind", "Status"},
                               {"apiVersion", "v1"},
                               {"metadata", Json::object()},
                               {"status", "Success"},
                               {"code", 201}});
  }
  if (target.subresource == "token" && target.verb == "create") {
    const Json account = objects_.get(resource, target.space, target.name);
    Json body = request.body.empty() ? Json::object() : parse_body(request.body, request.content_type);
    const Json wanted = body.value("spec", Json::object()).value("expirationSeconds", Json());
    const long long lifetime =
        wanted.is_number_integer() ? std::clamp<long long>(wanted.get<long long>(), 600, 1LL << 32) : 3600;
    body["kind"] = "TokenRequest";
    body["apiVersion"] = "authentication.k8s.io/v1";
    body["metadata"] = {
        {"name", target.name}, {"namespace", target.space}, {"creationTimestamp", now_rfc3339()}};
    body["spec"]["expirationSeconds"] = lifetime;
    body["status"] = {{"token", tokens_.mint({target.space, target.name, meta(account, "uid")}, lifetime)},
                      {"expirationTimestamp", now_rfc3339(lifetime)}};
    return json_response(201, body);
  }
  throw method_not_allowed("the server does not allow this method on the requested resource");
}

Response Router::remove_collection(const Target& target, const Resource& resource, const Request& request) {
  const LabelSelector labels(request.param("labelSelector"));
  const FieldSelector fields(request.param("fieldSelector"));
  fields.check_supported(resource.plural, resource.custom);
  const DeleteOptions options = delete_options(request);
  const Page page = cluster_.store().list({resource.storage, target.space, {}, {}, {}, 0});
  Json items = Json::array();
  for (const Json& stored : page.objects) {
    const Json object = from_storage(stored, resource);
    if (!labels.matches(object) || !fields.matches(object)) continue;
    try {
      objects_.remove(resource, meta(object, "namespace"), meta(object, "name"), options);
    } catch (const ApiError& error) {
      if (error.code() != 404) throw;  // gone meanwhile is as asked
    }
    items.push_back(object);
  }
  return json_response(200, {{"kind", resource.list_kind},
                             {"apiVersion", resource.api_version()},
                             {"metadata", {{"resourceVersion", std::to_string(cluster_.store().revision())}}},
                             {"items", items}});
}

}  // namespace stepdown::local::api
