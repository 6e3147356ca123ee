#include "engine/formats/release_pages.h"

#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

namespace stepdown::formats {

void release_pages(std::span<const std::byte> mapped) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(mapped.data());
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t end = (begin + mapped.size()) / page * page;
  // A refused hint costs memory alone.
  if (end > first) ::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

}  // namespace stepdown::formats
