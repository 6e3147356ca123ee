#pragma once

#include <nlohmann/json.hpp>

#include "engine/quant/quantize_options.h"

namespace stepdown::quant {

/// Quantizes as asked and publishes the result. Gives the report (ARCHITECTURE.md, "Models, digests,
/// artifacts") with its long parts. Throws InputError for a request that cannot be honoured.
nlohmann::json run_quantize(const QuantizeOptions& options);

}  // namespace stepdown::quant
