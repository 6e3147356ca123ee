#pragma once

#include <filesystem>
#include <string>
#include <system_error>

#include "engine/base/error.h"

namespace stepdown {

inline constexpr const char* kMakeRoom = "free some space, or give a larger volume";

/// There is no room for what was to be written. Told apart, as what is kept for a later try takes room too.
class DiskFull : public Error {
 public:
  using Error::Error;
};

/// Throws that one cannot "write", "create", … `path`: DiskFull, or an Error, which says how to mend it.
[[noreturn]] void throw_file_error(const std::string& action, const std::filesystem::path& path,
                                   std::error_code reason);
/// The same by errno.
[[noreturn]] void throw_file_error(const std::string& action, const std::filesystem::path& path);

/// What a function of the standard library threw, said alike.
[[noreturn]] void throw_file_error(const std::filesystem::filesystem_error& error);

/// Does `work`, whose failures with files are said alike.
auto telling_file_errors(const auto& work) {
  try {
    return work();
  } catch (const std::filesystem::filesystem_error& error) {
    throw_file_error(error);
  }
}

}  // namespace stepdown
