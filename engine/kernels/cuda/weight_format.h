#pragma once

#include <array>
#include <cstdint>

#include "engine/kernels/packing.h"

namespace stepdown::kernels::cuda {

// How weights lie in device memory: repacked once at load so that a thread reads with one wide, coalesced
// load exactly the codes that it feeds to the tensor cores, and 4-bit weights stay 4-bit on their way.
//
// A matrix is cut into tiles of 16 rows, a tile into units of 64 columns. Lane l of the warp that multiplies
// a unit has g = l / 4, t = l % 4 (the names of PTX's mma.m16n8k16 figures) and owns 16 consecutive columns,
// 16t…16t+15, of rows g and g + 8. The sum over columns may be taken in any order, so the four k16 steps of a
// unit take columns 4s…4s+3 of each lane as their k = 2t, 2t+1, 2t+8, 2t+9: a lane's operands are contiguous
// for weights and activations both, and all its weights of a unit share one scale a row, since groups have
// 16 or 32 columns.
//
// Of each matrix there are three arrays, tile by tile, unit by unit:
//   codes   a plane of the low bits, then one of the high ones, each [quad of words][lane]
//   scales  [group of the unit][g]{row g, row g + 8}, then the same of the minima: binary16, or bytes that
//           multiply the super
//   supers  two-level types, per 256 columns: [g]{row g, row g + 8}, then of the minima; binary16

inline constexpr int kTileHeight = 16;
inline constexpr int kUnitColumns = 64;
inline constexpr int kUnitSteps = 4;  ///< k16 steps of a unit
inline constexpr int kUnitsPerSuper = kSuperBlock / kUnitColumns;
inline constexpr int kLanes = 32;

/// The fields of Packing that kernels depend on; types that share them share a kernel.
struct WeightFormat {
  int bits;       ///< 16: binary16 elements, no scales
  int group = 0;  ///< columns that share a scale
  int offset = 0;
  bool minima = false;
  bool two_level = false;

  constexpr bool plain() const { return bits == 16; }
  /// Codes come as a plane of 8, 4 or 2 bits, and one of the 1 or 2 bits above them.
  constexpr int low_bits() const { return bits >= 8 ? bits : bits >= 4 ? 4 : 2; }
  constexpr int high_bits() const { return bits - low_bits(); }
  /// 32-bit words of a lane's 32 codes.
  constexpr int low_words() const { return low_bits(); }
  constexpr int high_words() const { return high_bits(); }
  constexpr int unit_code_bytes() const { return bits * kLanes * 4; }
  constexpr int groups() const { return plain() ? 0 : kUnitColumns / group; }
  /// Of one group's two rows; with their minima behind them.
  constexpr int pair_bytes() const { return plain() ? 0 : (two_level ? 2 : 4) * (minima ? 2 : 1); }
  constexpr int unit_scale_bytes() const { return groups() * 8 * pair_bytes(); }
  constexpr int super_bytes() const { return two_level ? 8 * 4 * (minima ? 2 : 1) : 0; }
  constexpr bool operator==(const WeightFormat&) const = default;
};

constexpr WeightFormat format_of(const Packing& packing) {
  return {packing.bits, packing.group, packing.offset, packing.minima, packing.two_level};
}

/// One kernel each.
inline constexpr std::array<WeightFormat, 13> kWeightFormats = {{
    {16},
    {4, 32, 8, false, false},    // Q4_0, and GPTQ's and AWQ's symmetric 4 bits
    {4, 32, 0, true, false},     // Q4_1
    {5, 32, 16, false, false},   // Q5_0, and 4 bits with zero points
    {5, 32, 0, true, false},     // Q5_1
    {8, 32, 128, false, false},  // Q8_0, GPTQ's 8 bits; IQ4_NL and MXFP4 by their levels
    {2, 16, 0, true, true},      // Q2_K
    {3, 16, 4, false, true},     // Q3_K
    {4, 32, 0, true, true},      // Q4_K
    {5, 32, 0, true, true},      // Q5_K
    {6, 16, 32, false, true},    // Q6_K
    {8, 32, 128, false, true},   // IQ4_XS by its levels
    {2, 32, 1, false, true},     // TQ1_0, TQ2_0
}};

constexpr int format_index(const WeightFormat& format) {
  for (std::size_t i = 0; i < kWeightFormats.size(); ++i) {
    if (kWeightFormats[i] == format) return static_cast<int>(i);
  }
  return -1;
}

// Bit positions of one lane's codes. `step` is the k16 step 0…3; `pair` 0…3 is the register of mma's A
// operand: pairs 0 and 2 are columns +0,+1 and +2,+3 of row g, pairs 1 and 3 the same of row g + 8; `half` is
// which of the two columns, the low or the high 16 bits of a register. Every field lands, by one shift of its
// word, at the same bit of both halves: one LOP3 then makes two binary16 numbers (Kim et al. 2022, "Who Says
// Elephants Can't Run"). Odd pairs land 4 bits higher, which costs nothing: their unit is 16 instead of 1.
struct Field {
  int word;
  int bit;
};
constexpr Field low_field(int bits, int step, int pair, int half) {
  if (bits == 16) return {step * 4 + pair, 16 * half};
  if (bits == 8) return {step * 2 + pair / 2, (pair % 2 * 2 + half) * 8};  // bytes, for PRMT
  if (bits == 4) return {step, pair * 4 + 16 * half};
  return {step / 2, (step % 2 * 4 + pair) * 2 + 16 * half};
}
constexpr Field high_field(int bits, int step, int pair, int half) {
  if (bits == 2) return {step / 2, (step % 2 * 4 + pair) * 2 + 16 * half};
  return {0, step * 4 + pair + 16 * half};
}

/// Which lane, step, pair and half a weight belongs to.
struct Place {
  int lane, step, pair, half;
};
constexpr Place place_of(int row, int column) {  // row 0…15, column 0…63
  const int within = column % 16;
  return {row % 8 * 4 + column / 16, within / 4, row / 8 + within % 4 / 2 * 2, within % 2};
}

/// A repacked matrix in device memory. Columns are padded to whole units with codes of no effect.
struct DeviceMatrix {
  const std::byte* codes = nullptr;
  const std::byte* scales = nullptr;
  const std::byte* supers = nullptr;
  std::int32_t format = 0;  ///< of kWeightFormats
  std::int32_t rows = 0;
  std::int32_t columns = 0;

  constexpr int tiles() const { return (rows + kTileHeight - 1) / kTileHeight; }
  constexpr int units() const { return (columns + kUnitColumns - 1) / kUnitColumns; }
  constexpr int supers_per_tile() const { return (units() + kUnitsPerSuper - 1) / kUnitsPerSuper; }
};

}  // namespace stepdown::kernels::cuda
