#include "engine/kernels/cpu/instruction_sets.h"

#if defined(__AMX_INT8__) && defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__AVX512VNNI__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/kernels/cpu/amx_bf16.h"
#include "engine/kernels/cpu/amx_registers.h"
#include "engine/kernels/cpu/avx512.h"
#include "engine/kernels/cpu/tile_kernels.h"
#include "engine/kernels/peak_loops.h"

// Intel's matrix registers: 16 input rows by 16 weight rows at once. Integer dot products are exact, and
// add_group() makes floats of them as everywhere: results are the avx512vnni row's, bit for bit. BF16
// products are this file's for any number of rows, since no other instruction rounds their sums alike.
namespace stepdown::kernels {
namespace {

constexpr std::int64_t kFewInputs = 12;  // below that, unpacking weights to memory does not pay

/// A tile's columns as the matrix product wants them.
template <Packing kPacking>
struct Panel {
  static constexpr int kGroups = static_cast<int>(kPacking.groups());
  static constexpr std::int64_t kMost = kPanelColumns / kPacking.group;
  static constexpr std::int64_t kGroupBytes = kPacking.group * kTileRows;
  alignas(64) std::byte codes[kMost][kGroupBytes];  // signed unless the type is affine
  alignas(64) float scales[kMost][kTileRows];
  alignas(64) float minima[kPacking.minima ? kMost : 1][kTileRows];
  std::int64_t groups = 0;

  void unpack(const std::byte* tile, std::int64_t blocks) {
    const __m512i offset = _mm512_set1_epi8(static_cast<char>(kPacking.offset));
    groups = blocks * kGroups;
    for (std::int64_t i = 0; i < blocks; ++i) {
      const BlockCodes<Avx512, kPacking.bits> unpacked(tile + kPacking.planes_at(i));
      for (int step = 0; step < 8; ++step) {
        _mm512_store_si512(codes[i * kGroups] + step * 64, _mm512_sub_epi8(unpacked.step[step], offset));
      }
      SuperScales<Avx512, kPacking> super;
      super.load(tile + kPacking.supers_at(i / (kSuperBlock / kBlock)), 0);
      const BlockScales<Avx512, kPacking> factor(tile + kPacking.scales_at(i), 0, super);
      for (int group = 0; group < kGroups; ++group) {
        Avx512::store(scales[i * kGroups + group], factor.scale[group]);
        if constexpr (kPacking.minima) Avx512::store(minima[i * kGroups + group], factor.minimum[group]);
      }
    }
    written(codes);
  }
};

/// Input rows from one column on; of more than kInputs the first.
struct Inputs {
  const std::int8_t* codes;
  const BlockScale* scales;
  const BlockSums* sums;
  std::int64_t columns;  ///< from row to row
  std::int64_t count;
};

using Dots = std::int32_t[kInputs][kTileRows];

// Matrix registers 0 and 1 hold dot products, 2 and 3 inputs, 4 and 5 weights, each of one group of columns.
void configure(std::int64_t inputs, int group) {
  Shape shape;
  for (const int i : {0, 1}) {
    shape.rows[i] = shape.rows[i + 2] = static_cast<std::uint8_t>(inputs);
    shape.rows[i + 4] = static_cast<std::uint8_t>(group / 4);
    shape.row_bytes[i] = shape.row_bytes[i + 4] = 64;
    shape.row_bytes[i + 2] = static_cast<std::uint16_t>(group);
  }
  shape.load();
}

// Loads a group and, where there is one, its neighbour: inputs to registers 2 and 3, weights to 4 and 5
// (their numbers are part of the instructions).
template <Packing kPacking>
void load_pair(const Inputs& inputs, const Panel<kPacking>& panel, std::int64_t group) {
  const std::int8_t* codes = inputs.codes + group * kPacking.group;
  _tile_loadd(2, codes, inputs.columns);
  _tile_loadd(4, panel.codes[group], 64);
  if (group + 1 == panel.groups) return;
  _tile_loadd(3, codes + kPacking.group, inputs.columns);
  _tile_loadd(5, panel.codes[group + 1], 64);
}

template <Packing kPacking>
void multiply_pair() {
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kPacking.minima) {
    _tile_dpbsud(0, 2, 4);
    _tile_dpbsud(1, 3, 5);
  } else {
    _tile_dpbssd(0, 2, 4);
    _tile_dpbssd(1, 3, 5);
  }
}

// Where a product goes.
struct Target {
  float* out;
  std::int64_t stride;
  bool accumulate;
};

// One tile times up to kInputs rows; kCount is kInputs, or 0 for inputs.count rows, kWhole says that the
// panel has all its columns, so that rows lie a constant apart. While two groups' dot products are added, the
// next two are under way: their latency is as long as the additions. Loads come before the stores of dot
// products, since a processor makes a load wait for a store whose address ends alike, and that store waits
// for the product.
template <Packing kPacking, int kCount, bool kWhole>
void multiply_panel(const Panel<kPacking>& panel, const Inputs& inputs, const Target& target) {
  const std::int64_t count = kCount > 0 ? kCount : inputs.count;
  const std::int64_t row_blocks = kWhole ? kPanelColumns / kBlock : inputs.columns / kBlock;
  __m512 sum[kInputs];
#pragma GCC unroll 16
  for (std::int64_t row = 0; row < count; ++row) sum[row] = Avx512::zero();
  const auto add = [&](const Dots& dots, std::int64_t group) __attribute__((always_inline)) {
    const __m512 scale = Avx512::load(panel.scales[group]);
    const __m512 minimum = Avx512::load(panel.minima[kPacking.minima ? group : 0]);
    const std::int64_t block = group / Panel<kPacking>::kGroups;
    const int part = static_cast<int>(group % Panel<kPacking>::kGroups);
#pragma GCC unroll 16
    for (std::int64_t row = 0; row < count; ++row) {
      sum[row] = add_group<Avx512, kPacking>(sum[row], _mm512_load_si512(dots[row]), scale, minimum,
                                             inputs.scales[row * row_blocks + block],
                                             inputs.sums[row * row_blocks + block], part);
    }
  };
  alignas(64) Dots dots[2];
  load_pair<kPacking>(inputs, panel, 0);
  multiply_pair<kPacking>();
  for (std::int64_t group = 0; group < panel.groups; group += 2) {
    const bool more = group + 2 < panel.groups;
    if (more) load_pair<kPacking>(inputs, panel, group + 2);
    _tile_stored(0, dots[0], 64);
    _tile_stored(1, dots[1], 64);
    if (more) multiply_pair<kPacking>();
    add(dots[0], group);
    if (group + 1 < panel.groups) add(dots[1], group + 1);
  }
#pragma GCC unroll 16
  for (std::int64_t row = 0; row < count; ++row)
    put<Avx512>(target.out + row * target.stride, sum[row], target.accumulate);
}

// Unpacked once, the tiles of a group meet 16 input rows after the other, so that the outputs of a row are
// written side by side.
template <std::size_t kIndex>
void codes_tiles_amx(const std::byte* tile, std::int64_t tiles, const CodedRows& input, std::int64_t first,
                     std::int64_t count, float* out, std::int64_t out_stride, bool accumulate) {
  constexpr Packing kPacking = kPackings[kIndex];
  if (count < kFewInputs) {
    return avx512_operations()->codes_tiles[kIndex](tile, tiles, input, first, count, out, out_stride,
                                                    accumulate);
  }
  Panel<kPacking> panels[kGroupTiles];
  for (std::int64_t i = 0; i < tiles; ++i)
    panels[i].unpack(tile + i * kPacking.tile_bytes(input.columns), input.columns / kBlock);
  const auto multiply = [&]<int kCount, bool kWhole>(std::int64_t row) {
    const std::int64_t at = (first + row) * input.columns;
    const Inputs inputs{input.codes + at, input.scales + at / kBlock, input.sums + at / kBlock, input.columns,
                        count - row};
    for (std::int64_t i = 0; i < tiles; ++i) {
      multiply_panel<kPacking, kCount, kWhole>(
          panels[i], inputs, {out + row * out_stride + i * kTileRows, out_stride, accumulate});
    }
  };
  configure(kInputs, kPacking.group);
  std::int64_t row = 0;
  for (; row + kInputs <= count; row += kInputs) {
    input.columns == kPanelColumns ? multiply.template operator()<kInputs, true>(row)
                                   : multiply.template operator()<kInputs, false>(row);
  }
  if (row < count) {
    configure(count - row, kPacking.group);
    multiply.template operator()<0, false>(row);
  }
  _tile_release();
}

template <std::size_t... kIndex>
constexpr std::array<CodesTiles, kPackings.size()> all_codes_tiles_amx(
    std::index_sequence<kIndex...> /*indices*/) {
  return {codes_tiles_amx<kIndex>...};
}

// Linux gives the registers' state (8 KiB a thread) to processes that ask for it.
bool supported() {
  constexpr unsigned kBf16 = 1u << 22;
  constexpr unsigned kTile = 1u << 24;
  constexpr unsigned kInt8 = 1u << 25;
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned kAll = kBf16 | kTile | kInt8;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kAll) != kAll) return false;
  static const bool kPermitted = ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return kPermitted && __builtin_cpu_supports("avx512bf16") != 0 && avx512_operations()->supported();
}

constexpr std::int64_t kProductOperations = 2 * kInputs * kTileRows;  // for each element of a row

std::int64_t int8_peak(std::int64_t rounds) {
  configure(kInputs, 64);
  _tile_zero(0);
  _tile_zero(1);
  for (std::int64_t round = 0; round < rounds; ++round) {
    _tile_dpbssd(0, 2, 4);
    _tile_dpbssd(1, 3, 5);
  }
  _tile_release();
  return rounds * 2 * kProductOperations * 64;
}

std::int64_t bf16_peak(std::int64_t rounds) {
  configure(kInputs, 64);
  _tile_zero(0);
  _tile_zero(1);
  for (std::int64_t round = 0; round < rounds; ++round) {
    _tile_dpbf16ps(0, 2, 4);
    _tile_dpbf16ps(1, 3, 5);
  }
  _tile_release();
  return rounds * 2 * kProductOperations * 32;
}

}  // namespace

const PeakLoops* amx_peak_loops() {
  static const PeakLoops kLoops = {int8_peak, avx512_peak_loops()->float32, bf16_peak,
                                   avx512_peak_loops()->read};
  return &kLoops;
}

const Operations* amx_operations() {
  static const Operations kRow = [] {
    Operations row = *avx512_operations();
    row.name = "amx";
    row.supported = supported;
    row.bf16_tiles = amx_bf16_tiles;
    row.codes_tiles = all_codes_tiles_amx(std::make_index_sequence<kPackings.size()>());
    return row;
  }();
  return &kRow;
}

}  // namespace stepdown::kernels

#else

namespace stepdown::kernels {
const Operations* amx_operations() {
  return nullptr;
}
const PeakLoops* amx_peak_loops() {
  return nullptr;
}
}  // namespace stepdown::kernels

#endif
