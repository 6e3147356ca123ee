#pragma once

#include <vector>

#include "engine/formats/quantized/layout.h"
#include "engine/formats/quantized/named_tensor.h"

namespace stepdown::formats {

/// bitsandbytes' NF4: flat blocks of 64 elements, each a level times the block's largest magnitude; with
/// double quantization those magnitudes are bytes into a table of 256, times one scale for 256 of them, plus
/// a mean.
struct Nf4Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<std::uint8_t> codes;   ///< two an element pair, the first high
  std::vector<std::uint8_t> absmax;  ///< [blocks], into nested_map
  std::vector<float> nested_absmax;  ///< [⌈blocks / 256⌉]
  std::vector<float> nested_map;     ///< 256
  float offset = 0.0f;
};

inline constexpr std::int64_t kNf4Block = 64;
inline constexpr std::int64_t kNf4NestedBlock = 256;

std::span<const float> nf4_levels();
/// bitsandbytes' dynamic 8-bit map: signed, exponents of ten, ascending.
std::vector<float> dynamic_map();

std::vector<float> values_of(const Nf4Matrix& matrix);
/// Tensors "weight", "weight.absmax", "weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map",
/// "weight.quant_state.bitsandbytes__nf4". `dtype`: torch's name of the type that loaders give back.
std::vector<NamedTensor> pack_nf4(const Nf4Matrix& matrix, const std::string& dtype);

ReadWeight bitsandbytes_reader(const JsonView& config);

}  // namespace stepdown::formats
