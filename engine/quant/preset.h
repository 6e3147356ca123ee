#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/base/tensor.h"
#include "engine/formats/model_file.h"

namespace stepdown::quant {

/// A GGUF mix as llama.cpp names it: which type each tensor gets.
struct Preset {
  std::string_view name;
  std::uint32_t file_type;  ///< GGUF's general.file_type
  int bits;                 ///< nominal, of `base`
  DType base;               ///< of all tensors that no rule raises
};

std::span<const Preset> presets();
/// Case counts not. Throws InputError naming all presets.
const Preset& find_preset(std::string_view name);

/// Throws InputError with the reason where `name` is of ternary weights, which no preset and no method rounds
/// a model to. `option`: that named it.
void refuse_ternary(std::string_view name, const std::string& option);

/// The type of each tensor under `preset`, in the given order: llama.cpp's rules (llama-quant.cpp);
/// `imatrix`: whether an importance matrix is given. Tensors must be in file order of llama-quantize
/// (quantization_order), since some rules count them.
std::vector<DType> choose_types(const Preset& preset, const formats::ModelConfig& config,
                                std::span<const TensorView> tensors, bool imatrix);

/// Whether a GGUF quantizer may touch the tensor at all: matrices whose name ends with "weight", norms and
/// routers of experts apart.
bool may_quantize(const TensorView& tensor);

/// llama-quantize's order of tensors: by layer, then by name; those without a layer first.
bool quantization_order(const TensorView& left, const TensorView& right);

}  // namespace stepdown::quant
