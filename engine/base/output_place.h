#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace stepdown {

/// Throws InputError, which names the option, where `file` could not be written: before the long work whose
/// result it is to hold. Folders that are missing may be made; none is.
void require_place_for(const std::filesystem::path& file, const std::string& option);

/// Whether it is a device, a pipe, or what a descriptor leads to, such as /dev/stdout: written to, never
/// replaced by a file.
bool keeps_its_place(const std::filesystem::path& path);

/// Writes it atomically, and makes the folders that are missing.
void write_output(const std::filesystem::path& file, std::string_view content);

}  // namespace stepdown
