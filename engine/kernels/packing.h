#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/base/dtype.h"

namespace stepdown::kernels {

/// Output rows that one tile interleaves: a 512-bit register holds one 32-bit lane of each.
inline constexpr std::int64_t kTileRows = 16;
/// Elements of a row that share one activation scale.
inline constexpr std::int64_t kBlock = 32;
/// Elements under one top-level scale of the K types.
inline constexpr std::int64_t kSuperBlock = 256;

/// A matrix is cut into panels of so many columns, so that the inputs of one stay in the first-level cache
/// while the weights of a group of tiles go by. It lies group after group, panel after panel within a group,
/// tile after tile within a panel: one stream.
inline constexpr std::int64_t kPanelColumns = 1024;
inline constexpr std::int64_t kGroupTiles = 8;
/// Each tile begins a cache line.
constexpr std::int64_t whole_cache_lines(std::int64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

/// How a quantized type lies in memory for the kernels. Every type becomes value = scale · code + minimum
/// with `bits`-wide unsigned codes, so that one kernel template serves them all and 4-bit weights stay 4-bit.
///
/// A tile holds 16 rows of a panel, in the order in which a product reads them, since one stream of whole
/// cache lines is what a processor's prefetchers keep up with. Two-level types begin each 256 columns with
/// their supers; then comes block after block of 32 columns, in every second one the scales before the
/// planes, so that planes of most types begin a cache line:
///   supers   binary16 scale of 16 rows, then minima if any
///   planes   bits × 64 bytes: codes split into planes of 8, 4, 2 or 1 bits. A plane is a
///            run of 64-byte words; byte row·4 + c of a word holds columns 4j + c for the steps j it covers,
///            a field each, so that (word >> shift) & mask is the operand of a four-way int8 dot product
///   scales   for each group of the block: 16 scales, then 16 minima if any; binary16, or int8 multiples of
///            the super
struct Packing {
  DType type;
  int bits;
  int group;       ///< columns that share a scale: 16 or 32
  int offset;      ///< symmetric types: value = scale · (code − offset)
  bool minima;     ///< affine types: a minimum stored beside each scale
  bool two_level;  ///< K types

  constexpr std::int64_t groups() const { return kBlock / group; }
  constexpr std::int64_t scales_per_group() const { return minima ? 2 : 1; }
  constexpr std::int64_t plane_bytes() const { return std::int64_t{bits} * 64; }
  constexpr std::int64_t super_bytes() const { return two_level ? scales_per_group() * kTileRows * 2 : 0; }
  constexpr std::int64_t scale_bytes() const {
    return groups() * scales_per_group() * kTileRows * (two_level ? 1 : 2);
  }
  constexpr std::int64_t block_bytes() const { return plane_bytes() + scale_bytes(); }
  /// Offset of super-block `index` within a tile.
  constexpr std::int64_t supers_at(std::int64_t index) const {
    return index * (super_bytes() + kSuperBlock / kBlock * block_bytes());
  }
  constexpr std::int64_t planes_at(std::int64_t block) const {
    return block_at(block) + (block % 2 == 0 ? 0 : scale_bytes());
  }
  constexpr std::int64_t scales_at(std::int64_t block) const {
    return block_at(block) + (block % 2 == 0 ? plane_bytes() : 0);
  }
  constexpr std::int64_t tile_bytes(std::int64_t columns) const {
    return whole_cache_lines(columns / kBlock * block_bytes() + columns / kSuperBlock * super_bytes());
  }

 private:
  constexpr std::int64_t block_at(std::int64_t block) const {
    return block * block_bytes() + (block / (kSuperBlock / kBlock) + 1) * super_bytes();
  }
};

inline constexpr std::array<Packing, 15> kPackings = {{
    {DType::kQ4_0, 4, 32, 8, false, false},
    {DType::kQ4_1, 4, 32, 0, true, false},
    {DType::kQ5_0, 5, 32, 16, false, false},
    {DType::kQ5_1, 5, 32, 0, true, false},
    {DType::kQ8_0, 8, 32, 128, false, false},
    {DType::kQ2_K, 2, 16, 0, true, true},
    {DType::kQ3_K, 3, 16, 4, false, true},
    {DType::kQ4_K, 4, 32, 0, true, true},
    {DType::kQ5_K, 5, 32, 0, true, true},
    {DType::kQ6_K, 6, 16, 32, false, true},
    {DType::kIQ4_NL, 8, 32, 128, false, false},  // the non-linear levels themselves as codes
    {DType::kIQ4_XS, 8, 32, 128, false, true},
    {DType::kTQ1_0, 2, 32, 1, false, true},  // a scale for all 256: each group's multiple is 1
    {DType::kTQ2_0, 2, 32, 1, false, true},
    {DType::kMXFP4, 8, 32, 128, false, false},  // levels as codes; scales below 2⁻²⁴ vanish in binary16
}};

/// Index into kPackings, or nullopt for types that are not repacked as codes.
std::optional<std::size_t> packing_index(DType type);

/// Low bit and width of each plane of a code.
struct Plane {
  int low;
  int width;
};
struct Planes {
  int count;
  std::array<Plane, 2> plane;
};
constexpr Planes planes_of(int bits) {
  switch (bits) {
    case 3:
      return {2, {{{0, 2}, {2, 1}}}};
    case 5:
      return {2, {{{0, 4}, {4, 1}}}};
    case 6:
      return {2, {{{0, 4}, {4, 2}}}};
    default:
      return {1, {{{0, bits}, {0, 0}}}};
  }
}

}  // namespace stepdown::kernels
