#pragma once

#include <cstdint>
#include <filesystem>

namespace stepdown {

/// Throws DiskFull where the volume of `folder` has no room for `bytes` more, before the work that would find
/// it full at its end. A volume that does not tell, as some across a network, is taken to have it.
void require_space(const std::filesystem::path& folder, std::uint64_t bytes);

}  // namespace stepdown
