#pragma once

#include <filesystem>

#include <nlohmann/json_fwd.hpp>

namespace stepdown {

inline constexpr const char* kTerminationLog = "/dev/termination-log";

/// Throws InputError where it could not be written: before the long work that it is to sum up.
void require_termination_log(const std::filesystem::path& path);

/// Writes a Job's summary where the kubelet collects it (at most 4096 bytes). The file is made by the kubelet
/// and mounted: it is written in place, and skipped when absent and the path is the default. Throws Error.
void write_termination_log(const std::filesystem::path& path, const nlohmann::json& summary);

}  // namespace stepdown
