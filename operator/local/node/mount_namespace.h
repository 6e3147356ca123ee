#pragma once

#include <filesystem>
#include <vector>

#include "operator/local/node/container_spec.h"

namespace stepdown::local {

/// Puts the calling process (single-threaded) into a mount namespace of its own whose root shows the host's
/// files with `mounts` on top. `scratch` is an empty folder of the host that the new root covers. Folders
/// that lack a mount point are rebuilt on tmpfs from binds of their entries, so that nothing is ever created
/// on the host. Throws Error with the way to mend it where the kernel forbids this.
void enter_mount_namespace(const std::vector<BindMount>& mounts, const std::filesystem::path& scratch);

}  // namespace stepdown::local
