#pragma once

#include <cstdint>
#include <string>

namespace stepdown {

/// Largest resident set of this process so far (VmHWM, touched file pages included), in bytes.
std::uint64_t peak_memory_bytes();
/// Resident set of this process now (VmRSS), in bytes.
std::uint64_t resident_memory_bytes();
/// Begins anew to look for the largest, from what is resident now (proc(5), clear_refs).
void reset_peak_memory();

/// The processor's model name, e.g. "AMD EPYC"; part of what a measured figure is valid for.
std::string cpu_name();

}  // namespace stepdown
