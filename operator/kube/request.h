#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/client.h"

/// Requests as data: what each call of Client sends, without a connection.
namespace stepdown::kube::request {

/// "/apis/apps/v1/namespaces/n/deployments/d/status"; name and subresource may be empty.
std::string path(const GroupVersionResource& gvr, const ObjectKey& key, std::string_view subresource = {});
std::string percent_encode(std::string_view text);

HttpRequest get_path(std::string path);
HttpRequest get(const GroupVersionResource& gvr, const ObjectKey& key);
HttpRequest list(const GroupVersionResource& gvr, const ListOptions& options,
                 std::string_view continue_token);
HttpRequest watch(const GroupVersionResource& gvr, const WatchOptions& options);
HttpRequest create(const GroupVersionResource& gvr, const nlohmann::json& object,
                   std::string_view field_manager = {});
HttpRequest create_subresource(const GroupVersionResource& gvr, const ObjectKey& key,
                               std::string_view subresource, const nlohmann::json& body);
HttpRequest replace(const GroupVersionResource& gvr, const nlohmann::json& object,
                    std::string_view subresource);
HttpRequest patch_merge(const GroupVersionResource& gvr, const ObjectKey& key, const nlohmann::json& patch,
                        std::string_view subresource);
HttpRequest apply(const GroupVersionResource& gvr, const nlohmann::json& object, const ApplyOptions& options,
                  std::string_view subresource);
HttpRequest remove(const GroupVersionResource& gvr, const ObjectKey& key, const DeleteOptions& options);

/// The refusal that a non-2xx answer carries; answers that hold no Status (proxies') keep their text.
ApiError parse_error(const HttpResponse& response);
/// meta/v1 Status → ApiError.
ApiError parse_status(const nlohmann::json& status);

}  // namespace stepdown::kube::request
