#include "engine/quant/peak_memory.h"

#include <fstream>
#include <string>

namespace stepdown::quant {

std::uint64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string field; status >> field;) {
    std::uint64_t kibibytes = 0;
    if (field == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

}  // namespace stepdown::quant
