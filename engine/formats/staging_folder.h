#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace stepdown::formats {

/// A hidden folder ".tmp-stepdown-XXXXXX" beside a result under construction, so that nobody ever sees half
/// of it. It is locked (flock) while its process lives and removed at the end; folders that dead processes
/// left are removed when a new one is made. Folders above it that were missing are made, and go with it where
/// they stay empty.
class StagingFolder {
 public:
  explicit StagingFolder(const std::filesystem::path& parent);
  /// One that a later process takes up again: ".partial-<key>", left where it is unless it is published or
  /// discarded. Waits while another process works in it. Others beside it (keys of 16 hexadecimal digits)
  /// that nobody took up for a week are removed.
  StagingFolder(const std::filesystem::path& parent, const std::string& key);
  ~StagingFolder();
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// Nobody shall go on with it: it goes with this object.
  void discard() { resumable_ = false; }
  /// Renames the file `name` of this folder to `target` (same file system), durably; replaces an old one.
  void publish_file(const std::string& name, const std::filesystem::path& target);
  /// Renames this folder to `target`, durably. Does nothing when `target` exists: content-addressed results
  /// are equal.
  void publish_folder(const std::filesystem::path& target);

 private:
  std::vector<std::filesystem::path> made_;
  std::filesystem::path path_;
  bool resumable_ = false;
  int lock_ = -1;
};

}  // namespace stepdown::formats
