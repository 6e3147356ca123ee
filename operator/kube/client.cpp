#include "operator/kube/client.h"

#include <nlohmann/json.hpp>

#include "operator/kube/config.h"
#include "operator/kube/json_text.h"
#include "operator/kube/request.h"
#include "operator/kube/watch.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;

TransportError no_json(const HttpRequest& request) {
  return TransportError("the answer is no JSON", request.method + " " + request.path,
                        "check that the server of the kubeconfig is a Kubernetes API");
}

json parse_body(const HttpRequest& request, std::string_view text, bool managed_fields = true) {
  json body = managed_fields ? json::parse(text, nullptr, false)
                             : json::parse(without_managed_fields(text), nullptr, false);
  if (body.is_discarded()) throw no_json(request);
  return body;
}

/// "PodList" and "v1" belong to each item too, but lists leave them out.
void fill_type(json& item, const std::string& list_kind, const std::string& api_version) {
  if (!item.is_object()) return;
  if (!item.contains("kind") && list_kind.ends_with("List"))
    item["kind"] = list_kind.substr(0, list_kind.size() - 4);
  if (!item.contains("apiVersion")) item["apiVersion"] = api_version;
}

/// Hands out the items of a list one by one, each parsed and let go before the next; gives the rest of the
/// page.
json parse_page(const HttpRequest& request, const HttpResponse& response, bool managed_fields,
                const std::function<void(json&&)>& each) {
  const ListText list = split_list(response.body);
  json page = parse_body(request, list.rest);
  const std::string kind = text_at(page, "/kind"), api_version = text_at(page, "/apiVersion");
  const bool whole = for_each_element(list.items, [&](std::string_view text) {
    json item = parse_body(request, text, managed_fields);
    fill_type(item, kind, api_version);
    each(std::move(item));
  });
  if (!whole) throw no_json(request);
  return page;
}

}  // namespace

Client::Client(Config config) : transport_(make_https_transport(std::move(config))) {}

Client Client::with_timeout(std::chrono::milliseconds timeout) const {
  Client copy = *this;
  copy.timeout_ = timeout;
  return copy;
}

Result<json> Client::call(HttpRequest request, bool managed_fields) const {
  request.timeout = timeout_;
  const HttpResponse response = transport_->send(request);
  if (response.status < 200 || response.status > 299) return request::parse_error(response);
  return parse_body(request, response.body, managed_fields);
}

Result<json> Client::get(const GroupVersionResource& gvr, const ObjectKey& key) const {
  return call(request::get(gvr, key), /*managed_fields=*/true);
}

Result<std::string> Client::list(const GroupVersionResource& gvr, const ListOptions& options,
                                 const std::function<void(json&&)>& each) const {
  std::string continue_token;
  for (;;) {
    HttpRequest request = request::list(gvr, options, continue_token);
    request.timeout = timeout_;
    const HttpResponse response = transport_->send(request);
    if (response.status < 200 || response.status > 299) return request::parse_error(response);
    const json page = parse_page(request, response, options.managed_fields, each);
    continue_token = text_at(page, "/metadata/continue");
    if (continue_token.empty()) return text_at(page, "/metadata/resourceVersion");
  }
}

Result<std::vector<json>> Client::list_all(const GroupVersionResource& gvr,
                                           const ListOptions& options) const {
  std::vector<json> items;
  const auto listed = list(gvr, options, [&items](json&& item) { items.push_back(std::move(item)); });
  if (!listed) return listed.error();
  return items;
}

Result<json> Client::create(const GroupVersionResource& gvr, const json& object,
                            std::string_view field_manager) const {
  return call(request::create(gvr, object, field_manager));
}

Result<json> Client::create_subresource(const GroupVersionResource& gvr, const ObjectKey& key,
                                        std::string_view subresource, const json& body) const {
  return call(request::create_subresource(gvr, key, subresource, body));
}

Result<json> Client::replace(const GroupVersionResource& gvr, const json& object,
                             std::string_view subresource) const {
  return call(request::replace(gvr, object, subresource));
}

Result<json> Client::patch_merge(const GroupVersionResource& gvr, const ObjectKey& key, const json& patch,
                                 std::string_view subresource) const {
  return call(request::patch_merge(gvr, key, patch, subresource));
}

Result<json> Client::apply(const GroupVersionResource& gvr, const json& object, const ApplyOptions& options,
                           std::string_view subresource) const {
  return call(request::apply(gvr, object, options, subresource));
}

Result<json> Client::apply_status(const GroupVersionResource& gvr, const json& object,
                                  const ApplyOptions& options) const {
  return apply(gvr, object, options, "status");
}

Result<json> Client::remove(const GroupVersionResource& gvr, const ObjectKey& key,
                            const DeleteOptions& options) const {
  return call(request::remove(gvr, key, options));
}

Result<std::string> Client::watch(const GroupVersionResource& gvr, const WatchOptions& options,
                                  const std::function<bool(WatchEvent&&)>& on_event,
                                  std::stop_token stop) const {
  // Bookmarks come once a minute at the least: silence for longer than the watch may last is a dead
  // connection.
  const auto idle = std::chrono::milliseconds(options.timeout) + std::chrono::seconds(15);
  std::string resource_version = options.resource_version;
  std::optional<ApiError> refusal;
  WatchDecoder decoder;
  const auto on_chunk = [&](std::string_view bytes) {
    return decoder.feed(bytes, [&](WatchEvent&& event) {
      if (event.type == WatchEventType::kError) {
        refusal = request::parse_status(event.object);
        return false;
      }
      const std::string seen = resource_version_of(event.object);
      if (!seen.empty()) resource_version = seen;
      return on_event(std::move(event));
    });
  };
  const HttpRequest request = request::watch(gvr, options);
  const HttpResponse response = transport_->stream(request, idle, on_chunk, std::move(stop));
  if (response.status != 200) return request::parse_error(response);
  if (refusal) return *refusal;
  if (!decoder.error().empty()) throw TransportError(decoder.error(), request.path);
  return resource_version;
}

Result<std::vector<ApiResource>> Client::discover(std::string_view group, std::string_view version) const {
  const GroupVersionResource gv{std::string(group), std::string(version), {}};
  Result<json> found = call(request::get_path((group.empty() ? "/api/" : "/apis/") + gv.api_version()));
  if (!found) return found.error();
  std::vector<ApiResource> resources;
  for (const json& entry : value_at(*found, "/resources")) {
    const std::string name = text_at(entry, "/name");
    if (name.empty() || name.find('/') != std::string::npos) continue;
    resources.push_back(
        {{gv.group, gv.version, name}, text_at(entry, "/kind"), value_at(entry, "/namespaced") == true});
  }
  return resources;
}

Result<std::string> Client::raw(std::string path) const {
  const HttpResponse response = transport_->send(request::get_path(std::move(path)));
  if (response.status < 200 || response.status > 299) return request::parse_error(response);
  return response.body;
}

}  // namespace stepdown::kube
