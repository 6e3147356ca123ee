#pragma once

#include <utility>

#include "engine/kernels/cpu/row_kernels.h"
#include "engine/kernels/cpu/tile_kernels.h"

namespace stepdown::kernels {

template <class V, std::size_t... kIndex>
constexpr std::array<CodesTiles, kPackings.size()> all_codes_tiles(
    std::index_sequence<kIndex...> /*indices*/) {
  return {codes_tiles<V, kPackings[kIndex]>...};
}

/// The whole table row of one instruction set.
template <class V>
constexpr Operations operations_of(std::string_view name, bool (*supported)()) {
  return {
      .name = name,
      .supported = supported,
      .codes_tiles = all_codes_tiles<V>(std::make_index_sequence<kPackings.size()>()),
      .f32_tiles = plain_tiles<V, F32Element>,
      .f16_tiles = plain_tiles<V, F16Element>,
      .bf16_tiles = plain_tiles<V, BF16Element>,
      .f16_tile = plain_tile<V, F16Element>,
      .i8_tile = plain_tile<V, I8Element>,
      .f8_tile = plain_tile<V, F8Element>,
      .i4_tile = plain_tile<V, I4Element>,
      .encode_row = encode_row<V>,
      .rms_norm = rms_norm<V>,
      .silu_multiply = silu_multiply<V>,
      .gelu_multiply = gelu_multiply<V>,
      .softmax = softmax<V>,
      .summarize = summarize<V>,
  };
}

}  // namespace stepdown::kernels
