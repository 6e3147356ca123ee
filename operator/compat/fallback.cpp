#include "operator/compat/fallback.h"

namespace stepdown::compat {

bool fp16_on_cpus(const api::QuantizedModelSpec& spec) {
  return spec.rollout.fallback.placement == "cpu";
}

bool fp16_on_demand(const api::QuantizedModelSpec& spec) {
  return spec.rollout.fallback.residency == "onDemand";
}

api::QuantizedModelSpec fp16_spec(api::QuantizedModelSpec spec) {
  if (!fp16_on_cpus(spec)) return spec;
  spec.serving.engine = "stepdown";
  spec.serving.hardware.reset();
  if (spec.serving.resources) {
    // Memory and devices were stated for the engines on accelerators; FP16's memory is predicted.
    for (auto* list : {&spec.serving.resources->requests, &spec.serving.resources->limits}) {
      std::erase_if(*list, [](const auto& entry) { return entry.first != "cpu"; });
    }
  }
  return spec;
}

}  // namespace stepdown::compat
