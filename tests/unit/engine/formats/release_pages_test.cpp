#include "engine/formats/release_pages.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace stepdown::formats {
namespace {

TEST(ReleasePages, GivesBackThePagesThatLieWhollyInside) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<std::byte> heap(6 * page);
  const std::size_t first = (page - reinterpret_cast<std::uintptr_t>(heap.data()) % page) % page;
  struct Case {
    std::size_t begin, size;                   // from the first whole page on
    std::size_t released_begin, released_end;  // in pages
  };
  for (const Case& c : {Case{0, 0, 0, 0}, Case{0, page - 1, 0, 0}, Case{1, page, 0, 0}, Case{0, page, 0, 1},
                        Case{1, 2 * page - 2, 0, 0}, Case{1, 2 * page - 1, 1, 2},
                        Case{page - 1, 3 * page, 1, 3}, Case{0, 4 * page + 1, 0, 4}}) {
    heap.assign(heap.size(), std::byte{255});
    release_pages(std::span(heap).subspan(first + c.begin, c.size));
    for (std::size_t i = 0; i < heap.size(); ++i) {
      const bool released = i >= first + c.released_begin * page && i < first + c.released_end * page;
      ASSERT_EQ(heap[i], released ? std::byte{0} : std::byte{255}) << c.begin << ' ' << c.size << " at " << i;
    }
  }
}

}  // namespace
}  // namespace stepdown::formats
