#pragma once

#include <span>
#include <string_view>

#include "engine/formats/json_view.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// One tensor of a layer under both its names.
struct HfLayerTensor {
  using Length = std::int64_t (*)(const ModelConfig&);
  std::string_view hf;    ///< behind "model.layers.N."; "{e}" stands for an expert's number
  std::string_view gguf;  ///< behind "blk.N."
  Length rows;
  Length columns = nullptr;         ///< nullptr: a vector
  Length permuted_heads = nullptr;  ///< nullptr: as it is
};

/// A decoder architecture as Hugging Face's checkpoints hold it.
struct HfArchitecture {
  std::string_view model_type;  ///< config.json's
  std::string_view gguf;        ///< general.architecture
  std::span<const HfLayerTensor> layer;
  bool norms_from_one = false;  ///< norm weights are stored as differences from 1 (Gemma)
  bool tied_by_default = false;
  /// Takes in what config.json says beyond the common fields; throws InputError for what is not supported.
  void (*read)(const JsonView& config, ModelConfig& model) = nullptr;
};

/// All that are supported.
std::span<const HfArchitecture> hf_architectures();
/// Whether a row has this name in config.json.
bool reads_model_type(std::string_view model_type);
/// Whether one has it in GGUF files.
bool reads_gguf_architecture(std::string_view name);
/// Throws InputError that lists the supported ones.
const HfArchitecture& hf_architecture(const JsonView& config);
/// Whether a row has the name that GGUF knows the configuration's architecture by.
bool is_known_architecture(const ModelConfig& config);
/// The row of a configuration that was read, which must be a known one.
const HfArchitecture& hf_architecture(const ModelConfig& config);

}  // namespace stepdown::formats
