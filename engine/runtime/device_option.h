#pragma once

#include "engine/kernels/cuda/device_choice.h"

namespace CLI {
class App;
}

namespace stepdown::runtime {

/// Adds --device to a command; `request` must live until the command line is parsed. The default is auto.
void add_device_option(CLI::App& app, kernels::cuda::DeviceRequest& request);

}  // namespace stepdown::runtime
