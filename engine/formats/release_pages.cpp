#include "engine/formats/release_pages.h"

#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

namespace stepdown::formats {

void release_pages(std::span<const std::byte> mapped) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t into_page = reinterpret_cast<std::uintptr_t>(mapped.data()) % page;
  const std::size_t skipped = (page - into_page) % page;
  if (mapped.size() < skipped + page) return;
  const auto whole = mapped.subspan(skipped, (mapped.size() - skipped) / page * page);
  // A refused hint costs memory alone.
  ::madvise(const_cast<std::byte*>(whole.data()), whole.size(), MADV_DONTNEED);
}

}  // namespace stepdown::formats
