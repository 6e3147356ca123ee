#pragma once

#include <span>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::cli {

/// One JSON Schema (draft 7) for all kinds that `crds` define, as editors read it: documents of other kinds
/// pass, unknown fields do not, and what an API server alone understands (x-kubernetes-*) is left out.
nlohmann::json editor_schema(std::span<const nlohmann::json> crds);

}  // namespace stepdown::cli
