#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "operator/api/quantized_model_spec.h"

namespace stepdown::compat {

/// A way to quantize, and what engines call the files that it writes.
struct Method {
  std::string_view method;
  std::string_view preset;  ///< empty: the method has none
  std::int64_t bits;        ///< as spec.quantization.candidates[].bits names it
  double mean_bits;         ///< a weight of 8 B, scales and unquantized layers included; a prediction
  std::string_view format;  ///< of compat/matrix.yaml
  bool calibrated = false;  ///< learns from activations on calibration text
  bool available = true;    ///< `stepdown-engine quantize` makes it; others come by fromRevision alone
};

std::span<const Method> methods();

/// The row of a candidate, by method and preset, or method and bits (without bits the method's first row);
/// nullptr when nothing is known of it.
const Method* find_method(const api::CandidateSpec& candidate);

/// Architectures that `stepdown-engine quantize` takes by this method, by either name that files give them.
std::vector<std::string_view> quantized_architectures(const Method& method);
bool quantizes(const Method& method, std::string_view architecture);

/// What FP16 weights of so many bytes become; saturates.
std::int64_t predicted_bytes(const Method& method, std::int64_t fp16_bytes);

}  // namespace stepdown::compat
