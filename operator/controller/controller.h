#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "operator/kube/client.h"
#include "operator/rollout/observed.h"

namespace stepdown::controller {

struct Options {
  std::string ns;               ///< watched; empty: all
  bool engine_profiles = true;  ///< whether they may be read: they are of the whole cluster
  bool nodes = true;            ///< whether they may be read
  rollout::Settings settings;
  std::string metrics_address = ":8080";
  bool leader_elect = false;
  std::string lease_namespace = "default";
  std::string identity;
  int workers = 2;
  std::function<std::string()> not_ready;  ///< what else readiness waits for; empty when nothing
};

/// Reconciles until `stop` is asked. With leader election it waits for the Lease first, and again after
/// losing it.
void run(const kube::Client& client, const Options& options, std::stop_token stop);

}  // namespace stepdown::controller
