#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/methods/weight_method.h"

namespace stepdown::quant {

/// What one run writes: the model's linear layers by one method, all else as F16.
struct ExportJob {
  const formats::ModelFile& model;
  std::filesystem::path
      source;  ///< the model's Hugging Face folder: its config.json and tokenizer files are copied
  const WeightMethod& method;
  WeightSettings settings;  ///< settled
  const CalibrationSet* calibration = nullptr;
  int threads = 0;
  std::function<void(DecoderBlock&)> replace =
      {};  ///< changes a block's weights before anything else; or empty
};

struct ExportedCheckpoint {
  std::map<std::string, int> tensors;  ///< how many of each stored type
  std::uint64_t size = 0;              ///< bytes of all files
};

/// Throws InputError for a model or settings that cannot be exported; before anything is computed.
void check_export(const ExportJob& job);

/// Writes a Hugging Face folder, one safetensors shard a decoder block, so that one block alone is in memory
/// and a run that was killed goes on behind the last block whose shard is whole; the bytes are those of an
/// uninterrupted run. Throws InputError when the model or the settings do not fit.
ExportedCheckpoint export_checkpoint(const ExportJob& job, const std::filesystem::path& folder);

}  // namespace stepdown::quant
