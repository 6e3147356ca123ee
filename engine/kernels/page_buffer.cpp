#include "engine/kernels/page_buffer.h"

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace stepdown::kernels {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// A line of /proc/self/maps: "begin-end perms offset device inode path"; inode 0 is anonymous memory.
bool is_read_only_file(std::uintptr_t begin, std::uintptr_t end) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    std::istringstream fields(line);
    std::uintptr_t low = 0;
    std::uintptr_t high = 0;
    char dash = 0;
    std::string permissions;
    std::string offset;
    std::string device;
    std::uint64_t inode = 0;
    fields >> std::hex >> low >> dash >> high >> permissions >> offset >> device >> std::dec >> inode;
    if (fields && low <= begin && end <= high) return inode != 0 && permissions.starts_with("r-");
  }
  return false;
}

}  // namespace

PageBuffer::PageBuffer(std::size_t bytes, Pages pages) {
  if (bytes == 0) return;
  void* memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error("cannot allocate " + std::to_string(bytes) + " bytes", "engine memory",
                "lower the context or the number of sequences");
  }
  if (pages == Pages::kHuge && bytes >= 2 * kHugePage) ::madvise(memory, bytes, MADV_HUGEPAGE);
  bytes_ = {static_cast<std::byte*>(memory), bytes};
}

PageBuffer::~PageBuffer() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

PageBuffer::PageBuffer(PageBuffer&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

PageBuffer& PageBuffer::operator=(PageBuffer&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

void release_file_pages(std::span<const std::byte> bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(bytes.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size()) / page * page;
  if (begin >= end || !is_read_only_file(begin, end)) return;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace stepdown::kernels
