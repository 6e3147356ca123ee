#pragma once

#include <filesystem>

namespace stepdown::local {

/// Where "up" keeps its state by default.
std::filesystem::path default_dir();

/// Held locked by the supervisor that runs for the folder.
std::filesystem::path up_lock(const std::filesystem::path& dir);

}  // namespace stepdown::local
