#pragma once

#include <filesystem>

#include "engine/fetch/remote.h"
#include "engine/fetch/tar.h"

namespace stepdown::fetch {

/// Reads a file, inflated where `packing` says that it is gzip. Throws InputError for broken gzip, and for
/// one that grows beyond what weights or texts do (a "zip bomb").
ByteReader read_packed(const std::filesystem::path& archive, Packing packing, const std::string& where);

/// Unpacks regular files below `tree`, a later file over an earlier one; of a container image's layer also
/// what it says was deleted. Gives how many files were written. Throws InputError for links, devices and
/// paths that lead out of the tree, where they would be taken.
std::size_t unpack(const std::filesystem::path& archive, const RemoteFile& layer,
                   const std::filesystem::path& tree, const std::string& where);

}  // namespace stepdown::fetch
