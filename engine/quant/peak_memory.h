#pragma once

#include <cstdint>

namespace stepdown::quant {

/// This process's peak resident memory in bytes (VmHWM: touched file pages included); 0 when /proc is absent.
std::uint64_t peak_memory_bytes();

}  // namespace stepdown::quant
