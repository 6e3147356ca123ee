#pragma once

#include "operator/api/kinds.h"

/// Where FP16 runs beside the quantized revisions, as spec.rollout.fallback says.
namespace stepdown::compat {

/// On CPUs, by the bundled engine, whatever serves the quantized revisions.
bool fp16_on_cpus(const api::QuantizedModelSpec& spec);

/// Loaded only while a rollout or a failing revision needs it.
bool fp16_on_demand(const api::QuantizedModelSpec& spec);

/// The spec that FP16's engine runs by: without accelerators, and what belongs to them, where it runs on
/// CPUs.
api::QuantizedModelSpec fp16_spec(api::QuantizedModelSpec spec);

}  // namespace stepdown::compat
