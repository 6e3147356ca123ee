#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/kernels/cuda/device.h"

namespace stepdown::kernels::cuda {

/// What `--device` asks for.
struct DeviceRequest {
  enum class Kind { kCpu, kCuda, kAuto };
  Kind kind = Kind::kCpu;
  int ordinal = -1;  ///< of kCuda; −1: the one with the most free memory
};

/// "cpu|cuda|cuda:N|auto", for messages.
inline constexpr const char* kDeviceNames = "cpu|cuda|cuda:N|auto";
std::optional<DeviceRequest> device_request_of(std::string_view text);

/// What this machine has.
struct Machine {
  Library library;                   ///< null: none was opened
  std::string why_none;              ///< without devices: the reason, for people
  std::vector<DeviceFacts> devices;  ///< by ordinal
};
/// Opens the library and asks the driver; never throws.
Machine look_around();

struct Choice {
  std::optional<int> ordinal;  ///< nullopt: the CPU
  std::string reason;
};
/// Throws InputError where a GPU is asked for and cannot be had.
Choice choose(const DeviceRequest& request, const Machine& machine);

}  // namespace stepdown::kernels::cuda
