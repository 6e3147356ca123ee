#include "engine/formats/staging_folder.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/file_error.h"
#include "engine/base/log.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = ".tmp-stepdown-";  // a name that no other program gives: they are removed
constexpr const char* kResumablePrefix = ".partial-";
constexpr std::chrono::hours kResumable{7 *
                                        24};  // since a run last began, renamed or removed something there

void remove_when_abandoned(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  std::error_code ignored;  // another cleaner may be faster
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) fs::remove_all(folder, ignored);
  ::close(fd);
}

/// A key of ours: 16 hexadecimal digits.
bool is_resumable(std::string_view name) {
  if (!name.starts_with(kResumablePrefix)) return false;
  name.remove_prefix(std::string_view(kResumablePrefix).size());
  return name.size() == 16 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void remove_abandoned(const fs::path& parent) {
  const auto long_ago = fs::file_time_type::clock::now() - kResumable;
  for (const auto& entry : fs::directory_iterator(parent)) {
    const std::string name = entry.path().filename();
    std::error_code gone;  // another cleaner may be faster
    if (!entry.is_directory(gone)) continue;
    const bool old = is_resumable(name) && fs::last_write_time(entry.path(), gone) < long_ago && !gone;
    if (old || name.starts_with(kPrefix)) remove_when_abandoned(entry.path());
  }
}

/// The folders that are missing above `folder`, and itself, outermost last.
std::vector<fs::path> missing(fs::path folder) {
  std::vector<fs::path> found;
  std::error_code error;  // told when it is made
  for (; folder.has_relative_path() && !fs::exists(folder, error) && !error; folder = folder.parent_path())
    found.push_back(folder);
  return found;
}

void create(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_file_error("create", folder, error);
}

/// Whoever had the lock before may have published or removed the folder, and another process made the next
/// one under its name.
bool stands_at(int folder, const fs::path& path) {
  struct stat locked {};
  struct stat named {};
  return ::fstat(folder, &locked) == 0 && ::stat(path.c_str(), &named) == 0 &&
         locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

/// Waits for whoever has it. False: errno says why.
bool lock_telling(int folder, const fs::path& path) {
  if (::flock(folder, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK) return false;
  log::info("another process works in " + path.string() + ": waiting for it");
  return ::flock(folder, LOCK_EX) == 0;
}

}  // namespace

StagingFolder::StagingFolder(const fs::path& parent, const std::string& key)
    : made_(missing(parent)), path_(parent / (kResumablePrefix + key)), resumable_(true) {
  for (;;) {
    create(path_);
    lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ < 0 && errno == ENOENT) continue;
    if (lock_ < 0) throw_file_error("go on with what a killed run left", path_);
    if (lock_telling(lock_, path_)) {
      if (stands_at(lock_, path_)) break;
    } else if (errno != EINTR) {
      const std::error_code reason(errno, std::generic_category());
      ::close(lock_);
      throw_file_error("lock", path_, reason);
    }
    ::close(std::exchange(lock_, -1));
  }
  remove_unfinished_files(path_);  // or they would become part of the result
  remove_abandoned(parent);
}

StagingFolder::StagingFolder(const fs::path& parent) : made_(missing(parent)) {
  // Between making and locking, a cleaner may take the new folder for an abandoned one: then make another.
  for (;;) {
    create(parent);
    std::string pattern = (parent / (std::string(kPrefix) + "XXXXXX")).string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      if (errno == ENOENT) continue;  // whoever made the parent took it away again
      throw_file_error("create a folder in", parent);
    }
    path_ = pattern;
    lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ >= 0 && ::flock(lock_, LOCK_EX) == 0 && fs::exists(path_)) break;
    if (lock_ >= 0) ::close(lock_);
  }
  ::chmod(path_.c_str(), 0755);  // mkdtemp's 0700 would hide the result from servers that run as another user
  remove_abandoned(parent);
}

StagingFolder::~StagingFolder() {
  std::error_code ignored;  // nothing to do about it here; the next run cleans up
  if (!path_.empty() && !resumable_) fs::remove_all(path_, ignored);
  if (!path_.empty() && resumable_ && fs::is_empty(path_, ignored)) fs::remove(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
  for (const fs::path& folder : made_) {
    if (::rmdir(folder.c_str()) != 0) break;  // one that holds something stays
  }
}

void StagingFolder::publish_file(const std::string& name, const fs::path& target) {
  fs::rename(path_ / name, target);
  sync_to_disk(target.has_parent_path() ? target.parent_path() : fs::path("."));
}

void StagingFolder::publish_folder(const fs::path& target) {
  sync_to_disk(path_);
  resumable_ = false;
  if (::rename(path_.c_str(), target.c_str()) == 0) {
    path_.clear();
  } else if (errno != EEXIST && errno != ENOTEMPTY) {
    throw_file_error("rename to", target);
  }
  sync_to_disk(target.parent_path());
}

}  // namespace stepdown::formats
