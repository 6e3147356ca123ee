#pragma once

#include <filesystem>

#include "operator/local/api/cluster.h"
#include "operator/local/api/objects.h"
#include "operator/local/api/request.h"
#include "operator/local/api/tokens.h"

namespace stepdown::local::api {

/// From a request to its answer. No network here; safe from any thread.
class Router {
 public:
  /// `pod_logs`: the folder of <namespace>_<pod>/<container>.log files.
  Router(Cluster& cluster, const Tokens& tokens, std::filesystem::path pod_logs)
      : cluster_(cluster), objects_(cluster), tokens_(tokens), pod_logs_(std::move(pod_logs)) {}

  /// Never throws: what fails is answered as a Status.
  Response handle(const Request& request);

 private:
  Response route(const Request& request);
  Response resource_request(const Target& target, const Request& request);
  Response write(const Target& target, const Resource& resource, const Request& request);
  Response subresource(const Target& target, const Resource& resource, const Request& request);
  Response remove_collection(const Target& target, const Resource& resource, const Request& request);

  Cluster& cluster_;
  Objects objects_;
  const Tokens& tokens_;
  std::filesystem::path pod_logs_;
};

}  // namespace stepdown::local::api
