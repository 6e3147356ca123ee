#pragma once

#include <chrono>
#include <filesystem>
#include <functional>

#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/methods/weight_method.h"
#include "engine/quant/training/network.h"

namespace stepdown::quant {

struct TrainingLimits {
  int steps = 400;  ///< of kPromptsAStep prompts each
  float rate = 5e-4f;
  std::chrono::duration<double> time = std::chrono::hours(8);  ///< over all runs that a kill cut short
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

struct Trained {
  LayerWeights weights;  ///< to be rounded by `settings`
  int steps = 0;
  double seconds = 0;
  bool out_of_time = false;
  double first_loss = 0;  ///< over some of the prompts, by rounding alone; nats a token
  double last_loss = 0;   ///< over the same ones behind the last step
};

/// Tokens of the longest prompt that so many steps come to.
std::int64_t longest_trained(const CalibrationSet& prompts, int steps);

/// Quantization-aware training: the model with rounded weights learns, on the calibration prompts, to say
/// what the full-precision model says (distillation, Hinton et al. 2015; LLM-QAT, Liu et al. 2023). Gradients
/// pass through the rounding as if it were not there (straight-through, Bengio et al. 2013). Keeps its state
/// in `state` every few steps; a run that finds one goes on there, to the same weights. Throws InputError
/// when the loss rose, by more than a tenth: then plain rounding is better.
Trained train(const formats::ModelFile& model, const CalibrationSet& prompts, const WeightSettings& settings,
              const TrainingLimits& limits, int threads, const std::filesystem::path& state);

}  // namespace stepdown::quant
