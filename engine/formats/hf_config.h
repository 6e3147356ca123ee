#pragma once

#include <vector>

#include "engine/formats/json_view.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {

struct HfConfig {
  ModelConfig model;
  /// Llama 3's RoPE scaling as GGUF's rope_freqs.weight: what each frequency is divided by; empty when
  /// unscaled.
  std::vector<float> rope_factors;
};

/// Hugging Face's config.json of a supported architecture. Throws InputError naming the field.
HfConfig config_from_hf(const JsonView& config);

}  // namespace stepdown::formats
