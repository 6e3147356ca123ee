#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace stepdown {

std::string read_file(const std::filesystem::path& path);

/// Writes to a temporary name beside `path`, fsyncs, renames, fsyncs the directory: readers see the old file
/// or the whole new one, whatever is killed when.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Removes what write_file_atomically() left in `folder` when it was killed. No process may write there.
void remove_unfinished_files(const std::filesystem::path& folder);

/// fsync of a file or a directory. Throws Error.
void sync_to_disk(const std::filesystem::path& path);

}  // namespace stepdown
