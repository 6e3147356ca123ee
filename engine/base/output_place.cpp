#include "engine/base/output_place.h"

#include <cerrno>
#include <system_error>

#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown {

namespace fs = std::filesystem;

void require_place_for(const fs::path& file, const std::string& option) {
  std::error_code error;  // what cannot be looked at cannot be written either
  const fs::path place = fs::absolute(file);
  if (fs::is_directory(place, error))
    throw InputError("is a folder", option + " " + file.string(), "name a file in it");
  fs::path folder = place.parent_path();
  while (folder.has_relative_path() && !fs::exists(folder, error) && !error) folder = folder.parent_path();
  if (!error && !fs::is_directory(folder, error))
    throw InputError(folder.string() + " is no folder", option + " " + file.string(), "name another place");
  if (!error && ::access(folder.c_str(), W_OK | X_OK) != 0) error.assign(errno, std::generic_category());
  if (!error) return;
  throw InputError("cannot be written to: " + error.message(), option + " " + file.string(),
                   "name another place, or let this user write in " + folder.string());
}

bool keeps_its_place(const fs::path& path) {
  std::error_code unknown;  // told when it is written
  const fs::file_status status = fs::status(path, unknown);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

void write_output(const fs::path& file, std::string_view content) {
  const fs::path place = fs::absolute(file);
  fs::create_directories(place.parent_path());
  write_file_atomically(place, content);
}

}  // namespace stepdown
