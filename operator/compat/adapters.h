#pragma once

#include <string>
#include <vector>

#include "operator/api/quantized_model_spec.h"
#include "operator/api/values.h"

/// Which adapters a model has: by the places that the spec names, and by the files that lie there.
namespace stepdown::compat {

/// "pvc://models/lora x 1.000000, …" of a model's adapters, or "none".
std::string adapters_text(const api::ModelSpec& model);
/// Over the digests of adapters, in their order; empty for none.
std::string adapters_digest(const std::vector<std::string>& digests);
/// The same of those that an artifact holds.
std::string merged_adapters_digest(const std::vector<api::MergedAdapter>& merged);

}  // namespace stepdown::compat
