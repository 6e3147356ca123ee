#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::server {

/// The keys of a file, one a line; empty lines and those that begin with # do not count. Throws InputError
/// when the file cannot be read or holds none.
std::vector<std::string> read_api_keys(const std::filesystem::path& file);

/// Whether an Authorization header brings one of the keys. Takes as long for any key of one length.
bool is_authorized(std::string_view header, const std::vector<std::string>& keys);

}  // namespace stepdown::server
