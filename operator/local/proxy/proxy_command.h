#pragma once

#include "engine/base/program.h"

namespace stepdown::local {

/// "proxy": forwards connections to Services to the pods behind them, as kube-proxy does. A process of its
/// own, so that clients keep their connections when the node agent dies.
Command proxy_command();

}  // namespace stepdown::local
