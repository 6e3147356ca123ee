#include "operator/local/node/container_spec.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace stepdown::local {

using nlohmann::json;

json to_json(const ContainerSpec& spec) {
  json mounts = json::array();
  for (const BindMount& mount : spec.mounts) {
    mounts.push_back({{"source", mount.source}, {"target", mount.target}, {"readOnly", mount.read_only}});
  }
  return {{"argv", spec.argv},
          {"env", spec.env},
          {"workingDir", spec.working_dir},
          {"mounts", mounts},
          {"log", spec.log},
          {"memoryLimit", spec.memory_limit},
          {"cgroup", spec.cgroup},
          {"logAsMessage", spec.log_as_message}};
}

ContainerSpec container_spec_from(const json& json) {
  try {
    ContainerSpec spec;
    json.at("argv").get_to(spec.argv);
    json.at("env").get_to(spec.env);
    json.at("workingDir").get_to(spec.working_dir);
    for (const auto& mount : json.at("mounts")) {
      spec.mounts.push_back({mount.at("source").get<std::string>(), mount.at("target").get<std::string>(),
                             mount.at("readOnly").get<bool>()});
    }
    spec.log = json.at("log").get<std::string>();
    json.at("memoryLimit").get_to(spec.memory_limit);
    json.at("cgroup").get_to(spec.cgroup);
    spec.log_as_message = json.value("logAsMessage", false);
    if (spec.argv.empty()) throw InputError("no program in the container's spec");
    return spec;
  } catch (const nlohmann::json::exception& error) {
    throw InputError(std::string("not a container's spec: ") + error.what());
  }
}

}  // namespace stepdown::local
