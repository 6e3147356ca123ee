#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace stepdown {

/// Largest resident set of this process so far (VmHWM, touched file pages included), in bytes.
std::uint64_t peak_memory_bytes();
/// Resident set of this process now (VmRSS), in bytes.
std::uint64_t resident_memory_bytes();
/// Begins anew to look for the largest, from what is resident now (proc(5), clear_refs).
void reset_peak_memory();

/// What may still be written to the volume of a folder; none where the system does not tell.
std::optional<std::uint64_t> free_bytes(const std::filesystem::path& folder);

/// The processor's model name, e.g. "AMD EPYC"; part of what a measured figure is valid for.
std::string cpu_name();

}  // namespace stepdown
