#pragma once

#include <span>
#include <string_view>

#include "operator/api/quantized_model_spec.h"

namespace stepdown::compat {

/// A way to quantize that the bundled engine knows.
struct Method {
  std::string_view method;
  std::string_view preset;
  double bits;  ///< mean bits a weight, scales included; for predictions until the artifact is measured
};

std::span<const Method> methods();

/// The row of a candidate; nullptr when the bundled engine does not know it.
const Method* find_method(const api::CandidateSpec& candidate);

}  // namespace stepdown::compat
