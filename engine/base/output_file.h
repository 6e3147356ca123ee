#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace stepdown {

/// A file under construction, written in pieces; one that was there is emptied. Throws DiskFull and Error.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Writes it to the disk, durably, and closes it.
  void finish();

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace stepdown
