#pragma once

#include <string_view>

namespace stepdown {

inline constexpr std::string_view kDefaultTerminationLog = "/dev/termination-log";

/// Leaves a Job's summary where the kubelet picks it up (terminationMessagePath). Skipped when the file does
/// not exist, as outside a pod. Throws Error when `message` is over the kubelet's 4096 bytes, which it would
/// cut.
void write_termination_log(std::string_view path, std::string_view message);

}  // namespace stepdown
