#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/formats/model_file.h"
#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/methods/weight_method.h"

namespace stepdown::quant {

/// What a method is asked for; it refuses what it cannot honour.
struct MethodRequest {
  std::string preset;      ///< GGUF mixes
  WeightSettings weights;  ///< methods that write safetensors
  std::string imatrix;     ///< an importance matrix of llama.cpp's; empty: none, or from the calibration data
  std::string imatrix_out;   ///< where to store the one that was computed; empty: nowhere
  std::uint64_t budget = 0;  ///< bytes, for "mixed"
  double max_hours = 8;      ///< for "qat"
  double learning_rate = 5e-4;
};

/// One run of a method.
struct MethodRun {
  const formats::ModelFile& model;
  std::filesystem::path source;  ///< the file or folder that `model` was opened from
  const MethodRequest& request;
  const CalibrationSet* calibration;  ///< nullptr: none given
  int threads;
};

struct MethodResult {
  std::uint64_t size = 0;
  std::map<std::string, int> tensors;  ///< how many by stored type
  std::string preset;
  int bits = 0;
  bool used_calibration = false;  ///< prompts, or an importance matrix
  nlohmann::json layers =
      nullptr;  ///< what each tensor became and why, where the method decides that itself; else null
  nlohmann::json training =
      nullptr;         ///< {"steps", "seconds", "outOfTime", "firstLoss", "lastLoss"}; null: none
  std::string digest;  ///< artifact_digest() of what was written, where that is known already
};

/// A way of quantization.
struct Method {
  std::string_view name;
  std::string_view file_name;  ///< of the one file it writes; empty: a Hugging Face folder
  std::string_view options;    ///< of the command line that it reads: "--bits --group-size"
  /// Writes into `folder`. Throws InputError for a request or a model it cannot honour.
  std::function<MethodResult(const MethodRun& run, const std::filesystem::path& folder)> run;
  /// What a run takes beside what the process holds when it begins, predicted; bytes.
  std::function<std::int64_t(const MethodRun& run)> memory;
};

std::span<const Method> methods();
/// Throws InputError naming all methods.
const Method& find_method(std::string_view name);

}  // namespace stepdown::quant
