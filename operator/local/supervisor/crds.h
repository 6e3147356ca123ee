#pragma once

#include <string_view>
#include <vector>

#include "operator/kube/client.h"

namespace stepdown::local {

/// The files of crds/, as they stood when this program was built.
std::vector<std::string_view> embedded_crds();
/// The same, parsed.
std::vector<nlohmann::json> crd_documents();

/// Applies them and waits until the API server serves them. Throws Error.
void install_crds(const kube::Client& client);

}  // namespace stepdown::local
