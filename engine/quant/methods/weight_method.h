#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/formats/quantized/gptq.h"
#include "engine/formats/quantized/named_tensor.h"
#include "engine/quant/calibration/decoder_block.h"
#include "engine/quant/calibration/stage_inputs.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// How a checkpoint is to be quantized; a method takes what it can honour.
struct WeightSettings {
  int bits = 0;                 ///< 0: the method's own
  std::int64_t group_size = 0;  ///< columns that share a scale; 0: the method's own, −1: a whole row
  std::string
      granularity;  ///< of scales that are not by group: "tensor", "channel", "block"; empty: the method's
  bool symmetric = true;
  bool search_clip = true;
  bool act_order = true;      ///< GPTQ: columns of large inputs first
  bool static_groups = true;  ///< GPTQ: groups are neighbours in the file whatever the order
  double damping = 0.01;      ///< GPTQ: of the Hessian's mean diagonal
  std::optional<formats::GptqVersion> gptq_version;  ///< settle_gptq_layout() chooses
  int steps = 0;  ///< AutoRound: of gradient descent, a matrix; QAT: of training; 0: the method's own
  double migration = 0.85;  ///< SmoothQuant's α
  bool static_activations = false;
};

/// A matrix as a checkpoint will hold it, by names within the module: "qweight".
using QuantizedWeight = std::vector<formats::NamedTensor>;

using Linears = std::span<Linear* const>;

/// What the linear layers at a place read, as the block is now.
using See = std::function<StageInputs(Place place)>;

enum class Needs { kNothing, kInputs, kGram };

/// What a method holds beside a block's weights while one matrix is at work.
struct Footprint {
  int squares = 0;                  ///< of the inputs' Gram matrix, itself among them
  double copies = 1.5;              ///< floats for each weight of the matrix, on its way there and back
  int preparing_squares = 0;        ///< the same squares while prepare() looks at a place
  std::int64_t preparing_rows = 0;  ///< floats for each input, beside them
};

/// A way to write linear layers in fewer bits into a Hugging Face checkpoint: one file and one row of the
/// table.
struct WeightMethod {
  std::string_view name;
  std::string_view options;                        ///< of the command line that it reads
  Needs (*needs)(const WeightSettings& settings);  ///< of calibration data
  /// Fills in the method's own defaults. Throws InputError for settings it cannot honour.
  WeightSettings (*settle)(WeightSettings asked);
  /// Changes the block's weights so that they lose less, its function staying the same; nullptr: nothing to
  /// do. Called for attention's stages, and for the feed-forward's when attention is quantized: what is seen
  /// there holds what attention gives.
  void (*prepare)(kernels::ThreadPool& pool, DecoderBlock& block, std::span<const Stage> stages,
                  const See& see, const WeightSettings& settings);
  /// The linears of one place, which read the same. `inputs`: nullptr when the method needs none. Must not
  /// throw for finite weights whose shape settle() and the layout allow.
  std::vector<QuantizedWeight> (*quantize)(kernels::ThreadPool& pool, Linears linears,
                                           const StageInputs* inputs, const WeightSettings& settings);
  Footprint footprint;
  /// config.json's quantization_config; `kept`: modules that stay as they are, "lm_head" among them.
  nlohmann::json (*config)(const WeightSettings& settings, const std::vector<std::string>& kept);
};

std::span<const WeightMethod> weight_methods();

/// `quantize` of a method whose linears have nothing in common.
template <QuantizedWeight (*kQuantize)(kernels::ThreadPool&, const Linear&, const StageInputs*,
                                       const WeightSettings&)>
std::vector<QuantizedWeight> one_by_one(kernels::ThreadPool& pool, Linears linears, const StageInputs* inputs,
                                        const WeightSettings& settings) {
  std::vector<QuantizedWeight> quantized;
  for (const Linear* linear : linears) quantized.push_back(kQuantize(pool, *linear, inputs, settings));
  return quantized;
}

inline Needs needs_nothing(const WeightSettings& /*settings*/) {
  return Needs::kNothing;
}
inline Needs needs_gram(const WeightSettings& /*settings*/) {
  return Needs::kGram;
}

}  // namespace stepdown::quant
