#include "engine/base/mapped_file.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace stepdown {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* action) {
  throw InputError(std::string("cannot ") + action + ": " + std::generic_category().message(errno),
                   path.string(), "check that the file exists and is readable");
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  map(path, 0, std::numeric_limits<std::size_t>::max(), MAP_PRIVATE);
}

MappedFile::MappedFile(const std::filesystem::path& path, std::uint64_t offset, std::size_t length) {
  map(path, offset, length, MAP_PRIVATE | MAP_POPULATE);
}

void MappedFile::map(const std::filesystem::path& path, std::uint64_t offset, std::size_t length, int flags) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(path, "open");
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw InputError("not a regular file", path.string());
  }
  const auto whole = static_cast<std::uint64_t>(info.st_size);
  const std::size_t size = std::min<std::uint64_t>(length, whole - std::min(offset, whole));
  if (size > 0) {
    void* address = ::mmap(nullptr, size, PROT_READ, flags, fd, static_cast<off_t>(offset));
    if (address == MAP_FAILED) {
      ::close(fd);
      fail(path, "map");
    }
    bytes_ = {static_cast<const std::byte*>(address), size};
  }
  ::close(fd);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace stepdown
