#pragma once

#include <functional>

#include <nlohmann/json.hpp>

#include "engine/quant/quantize_options.h"

namespace stepdown::quant {

/// Looks at {"base", "adapters", "calibration"} as the report will hold them, before the work; may throw.
using CheckInputs = std::function<void(const nlohmann::json& inputs)>;

/// Quantizes as asked and publishes the result. Gives the report (ARCHITECTURE.md, "Models, digests,
/// artifacts") with its long parts. Throws InputError for a request that cannot be honoured.
nlohmann::json run_quantize(const QuantizeOptions& options, const CheckInputs& check_inputs = {});

}  // namespace stepdown::quant
