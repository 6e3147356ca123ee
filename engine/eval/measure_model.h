#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/eval/dataset.h"
#include "engine/eval/report.h"
#include "engine/eval/suite.h"
#include "engine/runtime/device_option.h"

namespace stepdown::eval {

/// Whose windows and units a text's perplexity is measured by.
inline constexpr const char* kLlamaCpp = "llama.cpp";
inline constexpr const char* kLmEval = "lm-eval";

/// A model and how it is run in this process; empty paths: nothing of the kind.
struct MeasureOptions {
  std::string model;
  std::vector<std::string> adapters;            ///< "PATH" or "PATH=WEIGHT"
  std::string reference;                        ///< the FP16 model, for divergence
  std::vector<std::string> reference_adapters;  ///< that are part of it
  std::string dataset_digest;                   ///< of what is measured on
  std::string text;                             ///< to measure perplexity on
  std::string convention = kLlamaCpp;
  std::string kv_type = "f16";
  double max_attention_error = 0;  ///< 0: usual_attention_error()
  std::int64_t context = 0;        ///< 0: the model's own
  std::int64_t concurrency = 2;
  std::int64_t max_tokens = 512;
  int threads = 0;
  kernels::cuda::DeviceRequest device;
};

/// All figures of a model: the attention check of its cache, answers to the samples, perplexities, and the
/// divergence from the reference, one step after the other. Throws InputError for what cannot be measured.
Report measure_model(const MeasureOptions& options, const std::vector<Sample>& samples,
                     const std::vector<std::unique_ptr<Suite>>& suites);

}  // namespace stepdown::eval
