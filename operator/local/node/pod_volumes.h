#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "operator/local/node/node_context.h"

namespace stepdown::local {

/// The host paths of one pod's volumes, by volume name: hostPath, persistentVolumeClaim, emptyDir, configMap,
/// secret, projected (ServiceAccount tokens, config maps, the downward API's namespace).
class PodVolumes {
 public:
  /// `folder`: where this pod's own volumes lie.
  PodVolumes(const NodeContext& context, const nlohmann::json& pod, std::filesystem::path folder);

  /// Makes all of them. Throws Error while something they need does not exist yet.
  void prepare();
  /// Renews tokens that reach four fifths of their life.
  void refresh();
  /// Throws InputError for a volume that the pod does not define.
  std::filesystem::path path_of(const std::string& volume) const;
  /// Where the ServiceAccount's files lie, for pods whose spec mounts none itself; empty when it asks for
  /// none.
  const std::filesystem::path& service_account() const { return service_account_; }

 private:
  using Clock = std::chrono::system_clock;
  std::filesystem::path prepare_volume(const nlohmann::json& volume);
  void project(const nlohmann::json& projected, const std::filesystem::path& folder);
  void write_token(const std::filesystem::path& path, std::int64_t lifetime_seconds);
  std::filesystem::path host_path(const nlohmann::json& source) const;

  const NodeContext& context_;
  std::string namespace_;
  std::string pod_name_;
  std::string pod_uid_;
  std::string account_;
  nlohmann::json volumes_;
  std::filesystem::path folder_;
  std::map<std::string, std::filesystem::path> paths_;
  std::filesystem::path service_account_;
  struct Token {
    std::int64_t lifetime_seconds;
    Clock::time_point renew_at;
  };
  std::map<std::filesystem::path, Token> tokens_;
};

/// Where Kubernetes clients look for their ServiceAccount's files.
inline constexpr const char* kServiceAccountPath = "/var/run/secrets/kubernetes.io/serviceaccount";

}  // namespace stepdown::local
