#pragma once

#include <filesystem>

namespace stepdown::local {

/// Runs one container to its end, apart from the node agent, which may die and come back meanwhile. In
/// `attempt` (a folder with spec.json) it holds `lock` locked as long as it lives, writes started.json
/// {"pid", "startedAt"} and at the end exited.json {"exitCode", "signal", "finishedAt", "reason", "message"}.
/// Returns in the calling process once the lock is held; the shim goes on in the background.
int run_shim(const std::filesystem::path& attempt);

}  // namespace stepdown::local
