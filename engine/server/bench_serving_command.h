#pragma once

#include "engine/base/program.h"

namespace stepdown::server {

/// `stepdown-engine bench serving`: latency and throughput under concurrent requests, over HTTP; of a model,
/// or of any server that is running.
Command bench_serving_command();

}  // namespace stepdown::server
