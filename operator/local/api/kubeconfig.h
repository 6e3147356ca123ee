#pragma once

#include <filesystem>

#include "operator/local/api/certificates.h"

namespace stepdown::local::api {

/// A kubeconfig for the administrator, keys included; readable by the owner alone.
void write_kubeconfig(const std::filesystem::path& file, int port, const Certificates& certificates);

}  // namespace stepdown::local::api
