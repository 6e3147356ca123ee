#pragma once

#include <array>
#include <span>
#include <string_view>

#include "engine/quant/lanes/group_lanes.h"

namespace stepdown::quant {

/// Σ w·q·x and Σ w·q² of a group's nearest IQ4 levels q under 16 trial inverses.
struct LevelFits {
  GroupLanes::Lanes inverse, xq, qq;
};

/// Up to 16 blocks of 32 weights as types without a search store them: scales and minima in binary16, and
/// codes of a byte each.
struct PlainBlocks {
  alignas(64) std::array<std::uint8_t, GroupLanes::kGroups * 32> codes;
  std::array<std::uint16_t, GroupLanes::kGroups> scale, minimum;
};

/// The searches for the scales with which groups of weights are best written as small integers: ggml's
/// reference algorithms (ggml-quants.c) in the same order of float operations, so that files agree byte by
/// byte with those of llama-quantize. One row an instruction set; all give the same bits.
struct Searches {
  std::string_view name;
  bool (*supported)();
  /// Without an importance matrix errors count by magnitude, `with_rms` by magnitude plus the group's RMS;
  /// or by the weights' squares.
  void (*count_by_magnitude)(GroupLanes&, bool with_rms);
  void (*count_by_square)(GroupLanes&);
  /// codes ∈ [0, max_code] with a least-squares scale and minimum of each group.
  Grids (*with_minimum)(GroupLanes&, const MinimumSearch&);
  /// codes ∈ [0, 2·half); tries 19 scales for each group.
  Scales (*symmetric)(GroupLanes&, int half);
  /// The same by coordinate descent from the first guess, of some blocks' groups: Q3_K's.
  void (*descent)(std::span<GroupLanes> blocks, int half, std::span<Scales> into);
  /// The codes anew under other scales; a scale of zero keeps the codes that were there.
  void (*round_with_minimum)(GroupLanes&, const Grids&, int max_code);
  void (*round_symmetric)(GroupLanes&, const Scales&, int half);
  void (*fit_levels)(std::span<const float, 32> group, std::span<const float, 32> counts, LevelFits&);
  /// Up to 16 blocks of 32 weights without a search: the weight of largest magnitude becomes code 0 and zero
  /// the middle one, `half`; the range becomes [0, top]; or the largest magnitude becomes 127, of bytes with
  /// a sign.
  void (*plain_symmetric)(std::span<const float> blocks, int half, PlainBlocks&);
  void (*plain_with_minimum)(std::span<const float> blocks, int top, PlainBlocks&);
  void (*plain_bytes)(std::span<const float> blocks, PlainBlocks&);
  /// Binary16 to floats; whether all are numbers.
  bool (*widen_f16)(std::span<const std::byte> from, std::span<float> to);
  /// How many of the middles between IQ4 levels each weight, times `inverse`, has below it: its code.
  std::array<std::uint8_t, 32> (*nearest_levels)(std::span<const float, 32> group, float inverse);
};

/// That of the widest instruction set of this machine.
const Searches& searches();
/// All that were compiled, the widest first.
std::span<const Searches* const> all_searches();

// Each in a file of its own that is compiled for it; absent on other processors.
const Searches* avx512_searches();
const Searches* avx2_searches();
const Searches* plain_searches();

}  // namespace stepdown::quant
