#include "engine/runtime/device_option.h"

#include <string>

#include <CLI/CLI.hpp>

namespace stepdown::runtime {

void add_device_option(CLI::App& app, kernels::cuda::DeviceRequest& request) {
  namespace cuda = kernels::cuda;
  request = {cuda::DeviceRequest::Kind::kAuto};
  app.add_option_function<std::string>(
         "--device", [&request](const std::string& text) { request = *cuda::device_request_of(text); },
         "What computes; auto: a GPU that can run the model, else the CPU. The log says which, and why")
      ->check(
          [](const std::string& text) {
            return cuda::device_request_of(text) ? std::string() : std::string("use ") + cuda::kDeviceNames;
          },
          "")
      ->type_name(cuda::kDeviceNames)
      ->default_str("auto");
}

}  // namespace stepdown::runtime
