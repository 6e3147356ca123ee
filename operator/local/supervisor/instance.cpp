#include "operator/local/supervisor/instance.h"

#include <charconv>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::local {

namespace fs = std::filesystem;

fs::path default_dir() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0')
    return fs::path(state) / "stepdown";
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "/root" : home) / ".local" / "state" / "stepdown";
}

InstanceLock::InstanceLock(const fs::path& dir) {
  const fs::path path = dir / "up.lock";
  fd_ = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (fd_ < 0) throw Error("cannot open", path.string(), "check permissions");
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    throw Error("already up", dir.string(), "kubectl stepdown local down --dir " + dir.string());
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, pid.data(), pid.size(), 0) < 0)
    throw Error("cannot write", path.string());
}

InstanceLock::~InstanceLock() {
  ::close(fd_);
}

std::optional<pid_t> running_instance(const fs::path& dir) {
  const fs::path path = dir / "up.lock";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const bool free = ::flock(fd, LOCK_SH | LOCK_NB) == 0;
  ::close(fd);
  if (free) return std::nullopt;
  const std::string text = read_file(path);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid > 1 ? std::optional(pid) : std::nullopt;
}

}  // namespace stepdown::local
