#include "engine/base/atomic_file.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file_error.h"
#include "engine/base/output_file.h"
#include "engine/base/output_place.h"

namespace stepdown {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kUnfinished = ".tmp-";  // and the process's number

bool is_unfinished(std::string_view name) {
  const std::size_t mark = name.rfind(kUnfinished);
  if (mark == std::string_view::npos) return false;
  name.remove_prefix(mark + kUnfinished.size());
  return !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::error_code unknown;  // told when it is opened
  if (fs::is_directory(path, unknown)) throw InputError("is a folder", path.string(), "name a file in it");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError("cannot open", path.string(), "check that the file exists and is readable");
  try {
    return {std::istreambuf_iterator<char>(in), {}};
  } catch (const std::ios_base::failure&) {
    throw Error("cannot read", path.string(), "check the disk");
  }
}

void sync_to_disk(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool ok = fd >= 0 && ::fsync(fd) == 0;
  const std::error_code reason(errno, std::generic_category());
  if (fd >= 0) ::close(fd);
  if (!ok) throw_file_error("sync", path, reason);
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  if (keeps_its_place(path)) return OutputFile(path).write(content);
  fs::path temporary = path;
  temporary += std::string(kUnfinished) + std::to_string(::getpid());
  try {
    OutputFile out(temporary);
    out.write(content);
    out.finish();
    fs::rename(temporary, path);
  } catch (...) {
    std::error_code ignored;  // what went wrong is told
    fs::remove(temporary, ignored);
    throw;
  }
  sync_to_disk(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void remove_unfinished_files(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && is_unfinished(entry.path().filename().string()))
      found.push_back(entry.path());
  }
  for (const fs::path& file : found) fs::remove(file);
}

}  // namespace stepdown
