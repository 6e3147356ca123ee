#pragma once

#include <filesystem>
#include <optional>

#include <sys/types.h>

namespace stepdown::local {

/// Makes the folder where it is missing, for its owner alone: it holds keys, tokens and prompts. Gives its
/// absolute path. Throws InputError where it is no folder or may not be written to.
std::filesystem::path open_state_folder(const std::filesystem::path& dir);

/// One process at a time: holds a file locked, with its pid inside, until it ends by whatever means.
class FolderLock {
 public:
  /// Throws InputError that names the process which holds it.
  explicit FolderLock(const std::filesystem::path& file);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

/// The process that holds `file` locked now.
std::optional<pid_t> lock_holder(const std::filesystem::path& file);

}  // namespace stepdown::local
