#include "operator/local/state_folder.h"

#include <charconv>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::local {

namespace fs = std::filesystem;

fs::path open_state_folder(const fs::path& dir) {
  const char* mend = "choose another with --dir, or mend its permissions";
  std::error_code error;
  const bool known = fs::exists(dir, error);
  if (known && !fs::is_directory(dir, error))
    throw InputError("the state folder is no folder", dir.string(), mend);
  fs::create_directories(dir, error);
  if (!error && !known) fs::permissions(dir, fs::perms::owner_all, error);
  if (error) throw InputError("cannot make the state folder: " + error.message(), dir.string(), mend);
  if (::access(dir.c_str(), R_OK | W_OK | X_OK) != 0) {
    throw InputError("the state folder may not be written to", dir.string(), mend);
  }
  return fs::canonical(dir);
}

FolderLock::FolderLock(const fs::path& file) : fd_(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
  if (fd_ < 0) throw InputError("cannot open", file.string(), "check permissions");
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    const auto holder = lock_holder(file);
    throw InputError("process " + (holder ? std::to_string(*holder) : "?") + " runs on this folder",
                     file.parent_path().string(), "end it, or choose another folder with --dir");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, pid.data(), pid.size(), 0) < 0) {
    ::close(fd_);
    throw Error("cannot write", file.string(), "check free space");
  }
}

FolderLock::~FolderLock() {
  ::close(fd_);
}

std::optional<pid_t> lock_holder(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const bool free = ::flock(fd, LOCK_SH | LOCK_NB) == 0;
  ::close(fd);
  if (free) return std::nullopt;
  const std::string text = read_file(file);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid > 1 ? std::optional(pid) : std::nullopt;
}

}  // namespace stepdown::local
