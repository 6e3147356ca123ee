#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/kernels/thread_pool.h"
#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// Rounds rows of a tensor in place, as an artifact would hold them; `expert`: whose they are, of a tensor
/// that holds all experts' (of others Place::kNoExpert).
using RoundRows = std::function<void(const TensorView& tensor, std::int64_t expert, Matrix& rows)>;

/// What each matrix is worth to the model: how far its answers move when this one alone is rounded (KL
/// divergence from the exact model's, nats a token), by GGUF's name. Measured on sensitivity_sample() of the
/// prompts, in one pass over the blocks, one of which is in memory at a time. Keeps its state in the file
/// `state` (empty: nowhere); a run that finds one goes on there, to the same numbers.
std::map<std::string, double> measure_sensitivity(kernels::ThreadPool& pool, const formats::ModelFile& model,
                                                  const CalibrationSet& prompts, const RoundRows& round,
                                                  const std::filesystem::path& state = {});

/// Rows of the output matrix that are looked at together.
inline constexpr std::int64_t kSensitivityHeadRows = 2048;

/// Some of the prompts, spread over all.
struct SensitivitySample {
  std::vector<std::size_t> prompts;
  std::vector<std::int64_t> lengths;  ///< tokens that are looked at, from each one's beginning
  std::int64_t tokens = 0;
};

/// As many tokens as take about as long as the importance matrix of all: each matrix' rounding is followed
/// from its block to the end. Not so few that chance would decide.
SensitivitySample sensitivity_sample(const formats::ModelFile& model, const CalibrationSet& prompts);

}  // namespace stepdown::quant
