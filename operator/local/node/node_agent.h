#pragma once

#include <filesystem>

#include "engine/base/program.h"

namespace stepdown::local {

struct NodeOptions {
  std::filesystem::path kubeconfig;
  std::filesystem::path dir;
  std::string node_name = "local";
};

/// Runs the node agent until a signal: the kubelet and the workload controllers of one machine. Pods outlive
/// it; the next agent with the same `dir` adopts them.
int run_node_agent(const NodeOptions& options);

/// "node": the agent alone.
Command node_command();
/// "container ATTEMPT": one container's shim.
Command container_command();

}  // namespace stepdown::local
