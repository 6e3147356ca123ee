#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/local/node/probe.h"

namespace stepdown::local {

struct VolumeMount {
  std::string volume;
  std::string target;  ///< absolute path in the container
  std::string sub_path;
  bool read_only = false;
};

/// What a container's process needs, as the pod's spec says it and this node fills it in.
struct ContainerPlan {
  std::string name;
  std::string image;
  std::vector<std::string> command;  ///< empty: the image's entry point
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;
  std::string working_dir;
  std::vector<VolumeMount> mounts;
  std::string termination_path;
  bool log_as_message = false;    ///< terminationMessagePolicy FallbackToLogsOnError
  std::int64_t memory_limit = 0;  ///< bytes; 0: none
  std::optional<Probe> startup;
  std::optional<Probe> liveness;
  std::optional<Probe> readiness;
};

enum class RestartPolicy { kAlways, kOnFailure, kNever };

struct PodPlan {
  RestartPolicy restart_policy = RestartPolicy::kAlways;
  std::chrono::seconds grace{30};
  std::vector<ContainerPlan> init_containers;
  std::vector<ContainerPlan> containers;
};

/// What the node adds to each container's environment, e.g. KUBERNETES_SERVICE_HOST.
using Environment = std::map<std::string, std::string>;

/// Pure. Throws InputError where the spec asks for what this node lacks: never ignores it.
PodPlan plan_pod(const nlohmann::json& pod, const std::string& pod_ip, const Environment& node_environment);

/// $(NAME) → value; $$(NAME) → $(NAME); unknown names stay, as the kubelet does.
std::string expand_variables(std::string_view text,
                             const std::vector<std::pair<std::string, std::string>>& env);

/// "docker.io/stepdown/engine:0.1@sha256:…" → "stepdown/engine".
std::string image_name(std::string_view image);

/// The program that stands for an image: ours lie beside the running one in `binaries`, those that `local up
/// --image` added in `images` under the image's name. nullopt when the image is unknown.
std::optional<std::filesystem::path> image_program(std::string_view image,
                                                   const std::filesystem::path& binaries,
                                                   const std::filesystem::path& images);

}  // namespace stepdown::local
