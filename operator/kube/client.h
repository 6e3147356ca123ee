#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/object.h"
#include "operator/kube/result.h"
#include "operator/kube/transport.h"

namespace stepdown::kube {

struct Config;
struct WatchEvent;

struct ListOptions {
  std::string ns;               ///< empty: all namespaces, or a cluster-scoped resource
  std::string label_selector;   ///< "app=x,tier in (a,b)"
  std::string field_selector;   ///< "metadata.name=x"
  int limit = 500;              ///< objects a page
  bool managed_fields = false;  ///< whether the objects are to have them
};

struct WatchOptions : ListOptions {
  std::string resource_version;
  std::chrono::seconds timeout{300};  ///< the server ends the watch after this
};

enum class Propagation { kBackground, kForeground, kOrphan };

struct DeleteOptions {
  Propagation propagation = Propagation::kBackground;
  std::optional<std::int64_t> grace_period_seconds;
  std::string uid;               ///< precondition, when not empty
  std::string resource_version;  ///< precondition, when not empty
};

struct ApplyOptions {
  std::string field_manager;
  bool force = true;
  bool dry_run = false;
};

struct ApiResource {
  GroupVersionResource gvr;
  std::string kind;
  bool namespaced = false;
};

/// A Kubernetes API client: each call is one request, its answer a value or the server's refusal. Objects are
/// JSON as they stand on the wire. Throws TransportError where no answer came. Cheap to copy; safe from any
/// thread.
class Client {
 public:
  explicit Client(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}
  explicit Client(Config config);

  /// The same client, giving up (TransportError) when the server is silent for `timeout`; 60 s otherwise.
  Client with_timeout(std::chrono::milliseconds timeout) const;

  Result<nlohmann::json> get(const GroupVersionResource& gvr, const ObjectKey& key) const;

  /// Lists page by page: `each` gets one object at a time, with kind and apiVersion filled in. A continue
  /// token that expires midway (410) restarts nothing: the error comes back and the caller lists anew. The
  /// value is the list's resourceVersion.
  Result<std::string> list(const GroupVersionResource& gvr, const ListOptions& options,
                           const std::function<void(nlohmann::json&&)>& each) const;
  /// The same, gathered.
  Result<std::vector<nlohmann::json>> list_all(const GroupVersionResource& gvr,
                                               const ListOptions& options = {}) const;

  /// `object.metadata` gives namespace and name (or generateName); without a field manager, the user agent's
  /// name is it.
  Result<nlohmann::json> create(const GroupVersionResource& gvr, const nlohmann::json& object,
                                std::string_view field_manager = {}) const;
  /// POST to a subresource: pods/x/binding, serviceaccounts/x/token.
  Result<nlohmann::json> create_subresource(const GroupVersionResource& gvr, const ObjectKey& key,
                                            std::string_view subresource, const nlohmann::json& body) const;
  /// PUT: fails with a conflict when metadata.resourceVersion is set and stale.
  Result<nlohmann::json> replace(const GroupVersionResource& gvr, const nlohmann::json& object,
                                 std::string_view subresource = {}) const;
  Result<nlohmann::json> patch_merge(const GroupVersionResource& gvr, const ObjectKey& key,
                                     const nlohmann::json& patch, std::string_view subresource = {}) const;
  /// Server-side apply; `object` needs apiVersion, kind and metadata.name.
  Result<nlohmann::json> apply(const GroupVersionResource& gvr, const nlohmann::json& object,
                               const ApplyOptions& options, std::string_view subresource = {}) const;
  /// The same to the status subresource.
  Result<nlohmann::json> apply_status(const GroupVersionResource& gvr, const nlohmann::json& object,
                                      const ApplyOptions& options) const;
  Result<nlohmann::json> remove(const GroupVersionResource& gvr, const ObjectKey& key,
                                const DeleteOptions& options = {}) const;

  /// Blocks while the watch runs, at most options.timeout and then some: ends by the server, by `stop`, or
  /// when `on_event` returns false. The value is the last resourceVersion seen: watch again from it. An
  /// expired() error (410, as status or within the stream) means: list anew. Throws TransportError when it
  /// could not begin.
  Result<std::string> watch(const GroupVersionResource& gvr, const WatchOptions& options,
                            const std::function<bool(WatchEvent&&)>& on_event, std::stop_token stop) const;

  /// The resources of one group and version.
  Result<std::vector<ApiResource>> discover(std::string_view group, std::string_view version) const;
  /// GET of any path: /version, /healthz; the body as it came.
  Result<std::string> raw(std::string path) const;

 private:
  Result<nlohmann::json> call(HttpRequest request, bool managed_fields = false) const;

  std::shared_ptr<Transport> transport_;
  std::chrono::milliseconds timeout_{60'000};
};

}  // namespace stepdown::kube
