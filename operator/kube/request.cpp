#include "operator/kube/request.h"

#include <array>

#include <nlohmann/json.hpp>

namespace stepdown::kube::request {
namespace {

using nlohmann::json;

/// Query parameters in the order they are added; empty values are left out.
class Query {
 public:
  Query& add(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    text_ += text_.empty() ? '?' : '&';
    text_.append(name).append("=").append(percent_encode(value));
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Query selection(const ListOptions& options) {
  Query query;
  query.add("labelSelector", options.label_selector).add("fieldSelector", options.field_selector);
  return query;
}

HttpRequest with_body(std::string method, std::string path, std::string content_type, const json& body) {
  // Replacing broken UTF-8 keeps dump() from throwing on text that came from a program's output.
  HttpRequest request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.content_type = std::move(content_type);
  request.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  return request;
}

constexpr std::array<std::string_view, 3> kPropagation = {"Background", "Foreground", "Orphan"};

}  // namespace

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded.append({'%', kHex[byte >> 4U], kHex[byte & 15U]});
    }
  }
  return encoded;
}

std::string path(const GroupVersionResource& gvr, const ObjectKey& key, std::string_view subresource) {
  std::string path = (gvr.group.empty() ? "/api/" : "/apis/") + gvr.api_version();
  if (!key.ns.empty()) path += "/namespaces/" + percent_encode(key.ns);
  path += "/" + gvr.resource;
  if (!key.name.empty()) path += "/" + percent_encode(key.name);
  if (!subresource.empty()) path.append("/").append(subresource);
  return path;
}

HttpRequest get_path(std::string path) {
  HttpRequest request;
  request.path = std::move(path);
  return request;
}

HttpRequest get(const GroupVersionResource& gvr, const ObjectKey& key) {
  return get_path(path(gvr, key));
}

HttpRequest list(const GroupVersionResource& gvr, const ListOptions& options,
                 std::string_view continue_token) {
  Query query = selection(options);
  query.add("limit", options.limit > 0 ? std::to_string(options.limit) : "").add("continue", continue_token);
  return get_path(path(gvr, {options.ns, {}}) + query.text());
}

HttpRequest watch(const GroupVersionResource& gvr, const WatchOptions& options) {
  Query query = selection(options);
  query.add("watch", "true")
      .add("allowWatchBookmarks", "true")
      .add("resourceVersion", options.resource_version)
      .add("timeoutSeconds", std::to_string(options.timeout.count()));
  return get_path(path(gvr, {options.ns, {}}) + query.text());
}

HttpRequest create(const GroupVersionResource& gvr, const json& object, std::string_view field_manager) {
  Query query;
  query.add("fieldManager", field_manager);
  HttpRequest request =
      with_body("POST", path(gvr, {key_of(object).ns, {}}) + query.text(), "application/json", object);
  request.repeatable = !key_of(object).name.empty();  // the second is refused: AlreadyExists
  return request;
}

HttpRequest create_subresource(const GroupVersionResource& gvr, const ObjectKey& key,
                               std::string_view subresource, const json& body) {
  HttpRequest request = with_body("POST", path(gvr, key, subresource), "application/json", body);
  request.repeatable = false;
  return request;
}

HttpRequest replace(const GroupVersionResource& gvr, const json& object, std::string_view subresource) {
  HttpRequest request = with_body("PUT", path(gvr, key_of(object), subresource), "application/json", object);
  request.repeatable = false;  // the second would be a conflict with the first
  return request;
}

HttpRequest patch_merge(const GroupVersionResource& gvr, const ObjectKey& key, const json& patch,
                        std::string_view subresource) {
  return with_body("PATCH", path(gvr, key, subresource), "application/merge-patch+json", patch);
}

HttpRequest apply(const GroupVersionResource& gvr, const json& object, const ApplyOptions& options,
                  std::string_view subresource) {
  Query query;
  query.add("fieldManager", options.field_manager)
      .add("force", options.force ? "true" : "false")
      .add("dryRun", options.dry_run ? "All" : "");
  // JSON is YAML, so the body needs no other printer.
  return with_body("PATCH", path(gvr, key_of(object), subresource) + query.text(),
                   "application/apply-patch+yaml", object);
}

HttpRequest remove(const GroupVersionResource& gvr, const ObjectKey& key, const DeleteOptions& options) {
  json body = {{"kind", "DeleteOptions"},
               {"apiVersion", "v1"},
               {"propagationPolicy", kPropagation.at(static_cast<std::size_t>(options.propagation))}};
  if (options.grace_period_seconds) body["gracePeriodSeconds"] = *options.grace_period_seconds;
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) body["preconditions"]["resourceVersion"] = options.resource_version;
  HttpRequest request = with_body("DELETE", path(gvr, key), "application/json", body);
  request.repeatable = !options.uid.empty();  // a successor of the same name is not meant
  return request;
}

ApiError parse_status(const json& status) {
  ApiError error;
  error.code = static_cast<int>(integer_at(status, "/code", 0));
  error.reason = text_at(status, "/reason");
  error.message = text_at(status, "/message");
  for (const json& cause : value_at(status, "/details/causes")) {
    error.causes.push_back({text_at(cause, "/reason"), text_at(cause, "/field"), text_at(cause, "/message")});
  }
  const std::int64_t retry = integer_at(status, "/details/retryAfterSeconds", 0);
  if (retry > 0) error.retry_after = std::chrono::seconds(retry);
  return error;
}

ApiError parse_error(const HttpResponse& response) {
  constexpr std::size_t kLongestText = 300;
  const json body = json::parse(response.body, nullptr, false);
  ApiError error;
  if (body.is_object() && text_at(body, "/kind") == "Status") {
    error = parse_status(body);
  } else {
    error.message = response.body.substr(0, kLongestText);
  }
  error.code = response.status;
  if (response.retry_after) error.retry_after = response.retry_after;
  return error;
}

}  // namespace stepdown::kube::request
