#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace stepdown {

/// A read-only memory map of a file; empty files map to an empty span.
class MappedFile {
 public:
  /// Throws Error when the file cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);
  /// Up to `length` bytes from `offset` on, which is a multiple of a page, all in memory from the start.
  MappedFile(const std::filesystem::path& path, std::uint64_t offset, std::size_t length);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  void map(const std::filesystem::path& path, std::uint64_t offset, std::size_t length, int flags);

  std::span<const std::byte> bytes_;
};

}  // namespace stepdown
