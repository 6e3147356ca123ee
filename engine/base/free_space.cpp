#include "engine/base/free_space.h"

#include <cstdio>
#include <string>
#include <system_error>

#include "engine/base/file_error.h"

namespace stepdown {
namespace {

std::string mebibytes(std::uintmax_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / 0x1p20);
  return text;
}

}  // namespace

void require_space(const std::filesystem::path& folder, std::uint64_t bytes) {
  std::error_code unknown;
  const auto space = std::filesystem::space(folder, unknown);
  if (unknown || space.capacity == 0 || space.available >= bytes) return;
  throw DiskFull(mebibytes(bytes) + " are to be written and " + mebibytes(space.available) + " are free",
                 folder.string(), kMakeRoom);
}

}  // namespace stepdown
