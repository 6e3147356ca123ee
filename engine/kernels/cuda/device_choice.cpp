#include "engine/kernels/cuda/device_choice.h"

#include <algorithm>
#include <charconv>

#include "engine/base/error.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr int kLeastCapability = 80;  // Ampere: mma.m16n8k16 and cp.async

bool usable(const DeviceFacts& facts) {
  return facts.compute_capability >= kLeastCapability;
}

std::string described(int ordinal, const DeviceFacts& facts) {
  return "cuda:" + std::to_string(ordinal) + " is " + facts.name + ", compute capability " +
         std::to_string(facts.compute_capability / 10) + "." + std::to_string(facts.compute_capability % 10) +
         ", " + std::to_string(facts.free_bytes >> 20) + " of " + std::to_string(facts.memory_bytes >> 20) +
         " MiB free";
}

std::string too_old(int ordinal, const DeviceFacts& facts) {
  return described(ordinal, facts) + "; the kernels need 8.0 (Ampere) or newer";
}

}  // namespace

std::optional<DeviceRequest> device_request_of(std::string_view text) {
  using Kind = DeviceRequest::Kind;
  if (text == "cpu") return DeviceRequest{Kind::kCpu};
  if (text == "auto") return DeviceRequest{Kind::kAuto};
  if (text == "cuda") return DeviceRequest{Kind::kCuda};
  constexpr std::string_view kPrefix = "cuda:";
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  int ordinal = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ordinal);
  if (error != std::errc() || end != text.data() + text.size() || ordinal < 0) return std::nullopt;
  return DeviceRequest{Kind::kCuda, ordinal};
}

Machine look_around() {
  Machine machine;
  try {
    machine.library = open_library(library_path());
  } catch (const Error& error) {
    machine.why_none = error.what();
    return machine;
  }
  const Runtime& runtime = machine.library->runtime;
  int count = 0;
  if (const Failure failure = runtime.count(&count); failure != nullptr) {
    machine.why_none = std::string("no GPU: ") + failure;
    return machine;
  }
  for (int i = 0; i < count; ++i) {
    DeviceFacts facts{};
    if (const Failure failure = runtime.describe(i, &facts); failure != nullptr) {
      machine.why_none = "cuda:" + std::to_string(i) + ": " + failure;
      machine.devices.clear();
      return machine;
    }
    machine.devices.push_back(facts);
  }
  if (count == 0) machine.why_none = "no GPU: the driver lists none";
  return machine;
}

Choice choose(const DeviceRequest& request, const Machine& machine) {
  using Kind = DeviceRequest::Kind;
  if (request.kind == Kind::kCpu) return {std::nullopt, "asked for"};
  const bool asked = request.kind == Kind::kCuda;
  const auto refuse = [asked](const std::string& why) -> Choice {
    if (asked) throw InputError(why, "--device", "use --device cpu or auto");
    return {std::nullopt, why};
  };
  if (machine.devices.empty()) return refuse(machine.why_none);
  if (request.ordinal >= 0) {
    if (static_cast<std::size_t>(request.ordinal) >= machine.devices.size())
      return refuse("there is no cuda:" + std::to_string(request.ordinal) + "; the driver lists " +
                    std::to_string(machine.devices.size()));
    const DeviceFacts& facts = machine.devices[static_cast<std::size_t>(request.ordinal)];
    if (!usable(facts)) return refuse(too_old(request.ordinal, facts));
    return {request.ordinal, described(request.ordinal, facts)};
  }
  const auto best = std::ranges::max_element(machine.devices, {}, [](const DeviceFacts& facts) {
    return std::pair(usable(facts), facts.free_bytes);
  });
  const auto ordinal = static_cast<int>(best - machine.devices.begin());
  if (!usable(*best)) return refuse(too_old(ordinal, *best));
  return {ordinal, described(ordinal, *best)};
}

}  // namespace stepdown::kernels::cuda
