#pragma once

#include <bit>
#include <cstddef>

#include "engine/kernels/operations.h"

// Tile products for any vector type V (cpu/avx512.h, avx2.h, scalar.h). V has 8 or 16 lanes of 32 bits; a
// lane is an output row. Each translation unit instantiates them with its own V, compiled for its own
// instruction set.
namespace stepdown::kernels {

// The eight operands of a block of 32 columns, four columns each.
template <class V, int kBits>
struct BlockCodes {
  typename V::Bytes step[8];

  explicit BlockCodes(const std::byte* words) {
    if constexpr (kBits == 8) {
      for (std::ptrdiff_t j = 0; j < 8; ++j) step[j] = V::load_bytes(words + j * 64);
    } else if constexpr (kBits == 4) {
      nibbles(words);
    } else if constexpr (kBits == 2) {
      crumbs<0>(words);
    } else if constexpr (kBits == 3) {
      crumbs<0>(words);
      bits<2>(words + 128);
    } else if constexpr (kBits == 5) {
      nibbles(words);
      bits<4>(words + 256);
    } else {
      static_assert(kBits == 6);
      nibbles(words);
      crumbs<4>(words + 256);
    }
  }

  void nibbles(const std::byte* words) {
    for (std::ptrdiff_t i = 0; i < 4; ++i) {
      const auto word = V::load_bytes(words + i * 64);
      step[2 * i] = V::template field<0, 15>(word);
      step[2 * i + 1] = V::template field<4, 15>(word);
    }
  }

  // Two-bit fields, moved up to bit kAt; joined to what is there unless kAt is 0.
  template <int kAt>
  void crumbs(const std::byte* words) {
    for (std::ptrdiff_t i = 0; i < 2; ++i) {
      const auto word = V::load_bytes(words + i * 64);
      put<kAt>(4 * i, V::template field<0 - kAt, 3 << kAt>(word));
      put<kAt>(4 * i + 1, V::template field<2 - kAt, 3 << kAt>(word));
      put<kAt>(4 * i + 2, V::template field<4 - kAt, 3 << kAt>(word));
      put<kAt>(4 * i + 3, V::template field<6 - kAt, 3 << kAt>(word));
    }
  }

  template <int kAt>
  void bits(const std::byte* words) {
    const auto word = V::load_bytes(words);
    put<kAt>(0, V::template field<0 - kAt, 1 << kAt>(word));
    put<kAt>(1, V::template field<1 - kAt, 1 << kAt>(word));
    put<kAt>(2, V::template field<2 - kAt, 1 << kAt>(word));
    put<kAt>(3, V::template field<3 - kAt, 1 << kAt>(word));
    put<kAt>(4, V::template field<4 - kAt, 1 << kAt>(word));
    put<kAt>(5, V::template field<5 - kAt, 1 << kAt>(word));
    put<kAt>(6, V::template field<6 - kAt, 1 << kAt>(word));
    put<kAt>(7, V::template field<7 - kAt, 1 << kAt>(word));
  }

  template <int kAt>
  void put(std::ptrdiff_t j, typename V::Bytes field) {
    if constexpr (kAt == 0) {
      step[j] = field;
    } else {
      step[j] = V::either(step[j], field);
    }
  }
};

// What the codes' dot product begins with, so that `code` may be stored kAway too high: −kAway · Σ inputs.
template <class V, int kAway>
typename V::Ints dot_start(const std::int32_t& start) {
  if constexpr (kAway == 0) {
    return V::int_zero();
  } else {
    static_assert(kStartOffset % kAway == 0);
    constexpr int kShift = std::countr_zero(static_cast<unsigned>(kStartOffset / kAway));
    return V::template broadcast_shifted<kShift>(start);
  }
}

// Scales and minima of 256 columns of a two-level type, a lane a row; of other types nothing.
template <class V, Packing kPacking>
struct SuperScales {
  typename V::Floats scale = V::zero();
  typename V::Floats minimum = V::zero();  // of affine types alone

  void load([[maybe_unused]] const std::byte* at, [[maybe_unused]] std::ptrdiff_t lane) {
    if constexpr (kPacking.two_level) scale = V::load_f16(at + lane * 2);
    if constexpr (kPacking.two_level && kPacking.minima) minimum = V::load_f16(at + (kTileRows + lane) * 2);
  }
};

// Scales and minima of one block.
template <class V, Packing kPacking>
struct BlockScales {
  static constexpr int kGroups = static_cast<int>(kPacking.groups());
  typename V::Floats scale[kGroups];
  typename V::Floats minimum[kGroups];  // of affine types alone

  BlockScales(const std::byte* at, std::ptrdiff_t lane,
              [[maybe_unused]] const SuperScales<V, kPacking>& super) {
    for (int group = 0; group < kGroups; ++group) {
      if constexpr (kPacking.two_level) {
        scale[group] = V::multiply(super.scale, V::load_i8(at + lane));
        at += kTileRows;
        if constexpr (kPacking.minima) {
          minimum[group] = V::multiply(super.minimum, V::load_i8(at + lane));
          at += kTileRows;
        }
      } else {
        scale[group] = V::load_f16(at + lane * 2);
        at += kTileRows * 2;
        if constexpr (kPacking.minima) {
          minimum[group] = V::load_f16(at + lane * 2);
          at += kTileRows * 2;
        }
      }
    }
  }
};

// Adds one group's term to an output. The integer dot product is exact, so that these few roundings, always
// in this order, make the result, whatever instructions added up the integers.
template <class V, Packing kPacking>
typename V::Floats add_group(typename V::Floats sum, typename V::Ints dot, typename V::Floats scale,
                             [[maybe_unused]] typename V::Floats minimum, const BlockScale& input,
                             [[maybe_unused]] const BlockSums& sums, [[maybe_unused]] int group) {
  sum = V::multiply_add(V::multiply(scale, V::broadcast(input.scale)), V::to_float(dot), sum);
  if constexpr (kPacking.minima) {
    const float total = kPacking.groups() == 1 ? input.sum : group == 0 ? sums.low_sum : sums.high_sum;
    sum = V::multiply_add(minimum, V::broadcast(total), sum);
  }
  return sum;
}

template <class V>
void put(float* at, typename V::Floats sum, bool accumulate) {
  V::store(at, accumulate ? V::add(V::load(at), sum) : sum);
}

// One group's dot products with the input rows. Where registers suffice all of them are under way at once, so
// that they hide each other's latency; a single row takes its own in two chains of instructions.
template <class V, Packing kPacking, int kCount>
void group_dots(const BlockCodes<V, kPacking.bits>& weight, int group, const std::int8_t* codes,
                std::int64_t columns, const BlockSums* sums, typename V::Ints (&dot)[kCount]) {
  constexpr int kGroups = static_cast<int>(kPacking.groups());
  constexpr int kSteps = 8 / kGroups;
  constexpr int kAway = kPacking.bits == 8 ? V::kEightBitOffset : kPacking.offset;
  const int begin = group * kSteps;
  const auto start = [&](int row) __attribute__((always_inline)) {
    const BlockSums& of = sums[row * (columns / kBlock)];
    dot[row] = dot_start<V, kAway>(kGroups == 1 ? of.start : group == 0 ? of.low_start : of.high_start);
  };
  const auto add_step = [&](typename V::Ints & to, int row, std::ptrdiff_t step)
      __attribute__((always_inline)) {
    to = V::template dot4<kPacking.bits>(to, weight.step[step], codes + row * columns + step * 4);
  };
  if constexpr (kCount == 1 && kGroups == 1) {
    start(0);
    auto other = V::int_zero();
    for (int step = begin; step < begin + kSteps; step += 2) {
      add_step(dot[0], 0, step);
      add_step(other, 0, step + 1);
    }
    dot[0] = V::add_ints(dot[0], other);
  } else if constexpr (V::kRegisters >= 32) {
#pragma GCC unroll 8
    for (int row = 0; row < kCount; ++row) start(row);
#pragma GCC unroll 8
    for (int step = begin; step < begin + kSteps; ++step) {
#pragma GCC unroll 8
      for (int row = 0; row < kCount; ++row) add_step(dot[row], row, step);
    }
  } else {
#pragma GCC unroll 8
    for (int row = 0; row < kCount; ++row) {
      start(row);
      for (int step = begin; step < begin + kSteps; ++step) add_step(dot[row], row, step);
    }
  }
}

// Weights come from memory when a tile's first input rows need them. With one row AMD's own prefetchers keep
// up with memory, and more by instruction would be in their way; Intel's leave a third of its speed, and more
// rows leave any of them behind.
inline constexpr std::int64_t kPrefetchBytes = 8192;
template <std::int64_t kBytes>
void prefetch(const std::byte* at) {
  constexpr int kSecondLevelCache = 2;
  for (std::int64_t i = 0; i < kBytes; i += 64)
    __builtin_prefetch(at + kPrefetchBytes + i, 0, kSecondLevelCache);
}

template <class V, Packing kPacking, int kCount>
void codes_tile_rows(const std::byte* tile, const CodedRows& input, std::int64_t first, float* out,
                     std::int64_t out_stride, bool accumulate, bool cold) {
  constexpr std::int64_t kSuperBlocks = kSuperBlock / kBlock;
  const std::int64_t blocks = input.columns / kBlock;
  const std::int8_t* codes = input.codes + first * input.columns;
  const BlockScale* scales = input.scales + first * blocks;
  const BlockSums* sums = input.sums + first * blocks;
  for (std::ptrdiff_t lane = 0; lane < kTileRows; lane += V::kLanes) {
    typename V::Floats sum[kCount];
    for (int row = 0; row < kCount; ++row) sum[row] = V::zero();
    SuperScales<V, kPacking> super;
    const std::byte* at = tile;
    const auto add_block = [&](const std::byte* planes, const std::byte* factors, std::int64_t block)
        __attribute__((always_inline)) {
      if (cold) prefetch<kPacking.block_bytes()>(at);
      const BlockCodes<V, kPacking.bits> weight(planes + lane * 4);
      const BlockScales<V, kPacking> factor(factors, lane, super);
      const std::int8_t* code = codes + block * kBlock;
      const BlockScale* scale = scales + block;
      const BlockSums* totals = sums + block;
      for (int group = 0; group < static_cast<int>(kPacking.groups()); ++group) {
        typename V::Ints dot[kCount];
        group_dots<V, kPacking, kCount>(weight, group, code, input.columns, totals, dot);
#pragma GCC unroll 8
        for (int row = 0; row < kCount; ++row) {
          sum[row] = add_group<V, kPacking>(sum[row], dot[row], factor.scale[group], factor.minimum[group],
                                            scale[row * blocks], totals[row * blocks], group);
        }
      }
    };
    for (std::int64_t block = 0; block < blocks; block += 2) {
      if (kPacking.two_level && block % kSuperBlocks == 0) {
        if (cold) prefetch<kPacking.super_bytes()>(at);
        super.load(at, lane);
        at += kPacking.super_bytes();
      }
      add_block(at, at + kPacking.plane_bytes(), block);
      if (block + 1 == blocks) break;
      at += kPacking.block_bytes();
      add_block(at + kPacking.scale_bytes(), at, block + 1);
      at += kPacking.block_bytes();
    }
    for (int row = 0; row < kCount; ++row) {
      put<V>(out + row * out_stride + lane, sum[row], accumulate);
    }
  }
}

template <int kMost, class Take>
__attribute__((always_inline)) inline void take_rest(std::int64_t first, std::int64_t count,
                                                     const Take& take) {
  if constexpr (kMost > 0) {
    if (count == kMost) return take.template operator()<kMost>(first);
    take_rest<kMost - 1>(first, count, take);
  }
}

// Calls take<kGroup>(first) for whole groups of rows, and once for those that are left: they go in one pass,
// so that weights are read and unpacked once. Inlined, as `take` else finds its caller's values in memory.
template <int kGroup, class Take>
__attribute__((always_inline)) inline void take_rows(std::int64_t count, const Take& take) {
  std::int64_t first = 0;
  for (; first + kGroup <= count; first += kGroup) take.template operator()<kGroup>(first);
  take_rest<kGroup - 1>(first, count - first, take);
}

// A group of input rows meets one tile after the other: it stays in the first-level cache meanwhile, while
// the tiles come from the second, and a row's outputs lie side by side.
template <class V, Packing kPacking>
void codes_tiles(const std::byte* tile, std::int64_t tiles, const CodedRows& input, std::int64_t first,
                 std::int64_t count, float* out, std::int64_t out_stride, bool accumulate) {
  constexpr int kGroup = V::kRegisters >= 32 ? 8 : 4;
  const std::int64_t bytes = kPacking.tile_bytes(input.columns);
  bool cold = true;
  take_rows<kGroup>(count, [&]<int kCount>(std::int64_t row) {
    for (std::int64_t i = 0; i < tiles; ++i) {
      codes_tile_rows<V, kPacking, kCount>(tile + i * bytes, input, first + row,
                                           out + row * out_stride + i * kTileRows, out_stride, accumulate,
                                           cold && (kCount > 1 || V::prefetches_one_row()));
    }
    cold = false;
  });
}

// Element loaders of plain tiles: 16 (or 8) consecutive rows of one column.
template <class V>
struct F32Element {
  static constexpr int kBits = 32;
  static typename V::Floats load(const std::byte* at) { return V::load(reinterpret_cast<const float*>(at)); }
};
template <class V>
struct F16Element {
  static constexpr int kBits = 16;
  static typename V::Floats load(const std::byte* at) { return V::load_f16(at); }
};
template <class V>
struct BF16Element {
  static constexpr int kBits = 16;
  static typename V::Floats load(const std::byte* at) { return V::load_bf16(at); }
};
template <class V>
struct I8Element {
  static constexpr int kBits = 8;
  static typename V::Floats load(const std::byte* at) { return V::load_i8(at); }
};

template <class V>
struct F8Element {
  static constexpr int kBits = 8;
  static typename V::Floats load(const std::byte* at) { return V::load_f8(at); }
};

template <class V>
struct I4Element {
  static constexpr int kBits = 4;
  static typename V::Floats load(const std::byte* at) { return V::load_i4(at); }
};

// Column i belongs to chain i % kChains of multiply-adds, and an output is ((chain 0 + 1) + 2) + 3, however
// many chains are under way at once: several hide the latency, and with many rows the other chains' turn
// comes after, so that all sums keep to registers.
inline constexpr std::int64_t kChains = 4;

// Keeps a pointer in a register of its own: left alone GCC computes it again, from a base and a stride, at
// each use, which takes more instructions than the products do.
inline void hold(const float*& pointer) {
#if defined(__GNUC__)
  asm("" : "+r"(pointer));
#endif
}

// Adds to the sums of kAtOnce chains, from `input` and `tile` on, kSteps columns of each.
template <class V, class Element, int kAtOnce, int kCount, std::int64_t kSteps>
void add_columns(const std::byte*& tile, const float* (&input)[kCount],
                 typename V::Floats (&sum)[kAtOnce][kCount]) {
  constexpr std::int64_t kColumnBytes = kTileRows * Element::kBits / 8;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    for (int chain = 0; chain < kAtOnce; ++chain) {
      const std::int64_t column = step * kChains + chain;
      const auto weight = Element::load(tile + column * kColumnBytes);
#pragma GCC unroll 8
      for (int row = 0; row < kCount; ++row)
        sum[chain][row] = V::multiply_add(weight, V::broadcast(input[row][column]), sum[chain][row]);
    }
  }
  tile += kSteps * kChains * kColumnBytes;
#pragma GCC unroll 8
  for (int row = 0; row < kCount; ++row) {
    input[row] += kSteps * kChains;
    hold(input[row]);
  }
}

template <class V, class Element, int kCount>
void plain_tile_rows(const std::byte* tile, std::int64_t columns, const float* input,
                     std::int64_t input_stride, float* out, std::int64_t out_stride, bool accumulate,
                     bool cold) {
  constexpr int kAtOnce = kCount * kChains > V::kRegisters * 7 / 8 ? kChains / 2 : kChains;
  constexpr std::int64_t kSteps = 2;
  constexpr std::int64_t kColumnBytes = kTileRows * Element::kBits / 8;
  for (std::ptrdiff_t lane = 0; lane < kTileRows; lane += V::kLanes) {
    typename V::Floats total[kCount];
    for (int first = 0; first < kChains; first += kAtOnce) {
      typename V::Floats sum[kAtOnce][kCount];
      const float* at[kCount];
      for (int row = 0; row < kCount; ++row) {
        for (int chain = 0; chain < kAtOnce; ++chain) sum[chain][row] = V::zero();
        at[row] = input + row * input_stride + first;
      }
      const std::byte* weights = tile + first * kColumnBytes + lane * Element::kBits / 8;
      std::int64_t column = first;
      for (; column + (kSteps - 1) * kChains + kAtOnce <= columns; column += kSteps * kChains) {
        if (cold && first == 0) prefetch<kSteps * kChains * kColumnBytes>(weights);
        add_columns<V, Element, kAtOnce, kCount, kSteps>(weights, at, sum);
      }
      for (; column + kAtOnce <= columns; column += kChains)
        add_columns<V, Element, kAtOnce, kCount, 1>(weights, at, sum);
      for (int chain = 0; column + chain < columns; ++chain) {
        const auto weight = Element::load(weights + chain * kColumnBytes);
        for (int row = 0; row < kCount; ++row)
          sum[chain][row] = V::multiply_add(weight, V::broadcast(at[row][chain]), sum[chain][row]);
      }
      for (int row = 0; row < kCount; ++row) {
        total[row] = first == 0 ? sum[0][row] : V::add(total[row], sum[0][row]);
        for (int chain = 1; chain < kAtOnce; ++chain) total[row] = V::add(total[row], sum[chain][row]);
      }
    }
    for (int row = 0; row < kCount; ++row) put<V>(out + row * out_stride + lane, total[row], accumulate);
  }
}

template <class V, template <class> class Element>
void plain_tile(const std::byte* tile, std::int64_t columns, const float* input, std::int64_t input_stride,
                std::int64_t count, float* out, std::int64_t out_stride, bool accumulate) {
  constexpr std::int64_t kLongTile = 256;
  bool cold = columns >= kLongTile;  // the short tiles of a KV cache do not lie one behind the other
  constexpr int kGroup = V::kRegisters >= 32 ? 8 : 4;
  take_rows<kGroup>(count, [&]<int kCount>(std::int64_t row) {
    plain_tile_rows<V, Element<V>, kCount>(tile, columns, input + row * input_stride, input_stride,
                                           out + row * out_stride, out_stride, accumulate,
                                           cold && (kCount > 1 || V::prefetches_one_row()));
    cold = false;
  });
}

template <class V, template <class> class Element>
void plain_tiles(const std::byte* tile, std::int64_t tiles, std::int64_t columns, const float* input,
                 std::int64_t input_stride, std::int64_t count, float* out, std::int64_t out_stride,
                 bool accumulate) {
  const std::int64_t bytes = whole_cache_lines(columns * kTileRows * Element<V>::kBits / 8);
  for (; tiles > 0; --tiles, tile += bytes, out += kTileRows)
    plain_tile<V, Element>(tile, columns, input, input_stride, count, out, out_stride, accumulate);
}

}  // namespace stepdown::kernels
