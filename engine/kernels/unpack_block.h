#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/kernels/packing.h"

namespace stepdown::kernels {

/// One stored block (32 columns, or 256 of the K types) taken apart but not multiplied out: codes and scales
/// keep exactly the precision of the file.
struct UnpackedBlock {
  std::array<std::uint8_t, kSuperBlock> codes;  ///< unsigned; Packing::offset not yet subtracted
  std::uint16_t scale;                          ///< binary16 bits
  std::uint16_t minimum;                        ///< binary16 bits, to be added
  std::array<std::int8_t, 16> scales;           ///< two-level types: a multiple of `scale` per group
  std::array<std::int8_t, 16> minima;           ///< likewise of `minimum`
};

/// Layouts: ggml-common.h's block_q* structures.
using UnpackBlock = void (*)(const std::byte* block, UnpackedBlock& out);

/// The unpacker of kPackings[index].
UnpackBlock unpack_block(std::size_t index);

}  // namespace stepdown::kernels
