#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::local {

/// A file or folder of the host that appears at `target` in the container.
struct BindMount {
  std::filesystem::path source;
  std::filesystem::path target;
  bool read_only = false;
};

/// All that the shim needs to start one container: the agent writes it as spec.json.
struct ContainerSpec {
  std::vector<std::string> argv;  ///< argv[0]: the program's path in the container
  std::vector<std::pair<std::string, std::string>> env;
  std::string working_dir;
  std::vector<BindMount> mounts;
  std::filesystem::path log;
  bool log_as_message = false;    ///< terminationMessagePolicy FallbackToLogsOnError
  std::int64_t memory_limit = 0;  ///< bytes; 0: none
  std::string cgroup;             ///< its name below the node's own
};

nlohmann::json to_json(const ContainerSpec& spec);
/// Throws InputError.
ContainerSpec container_spec_from(const nlohmann::json& json);

}  // namespace stepdown::local
