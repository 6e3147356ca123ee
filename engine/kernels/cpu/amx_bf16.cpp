#include "engine/kernels/cpu/amx_bf16.h"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__AVX512VNNI__)

#include <algorithm>

#include "engine/kernels/cpu/amx_registers.h"
#include "engine/kernels/cpu/avx512.h"
#include "engine/kernels/cpu/bf16_inputs.h"
#include "engine/kernels/cpu/tile_kernels.h"

// BF16 weights by Intel's matrix registers, for any number of rows, since no other instruction rounds their
// sums alike. Every kChunk columns an output's sum is added to it, in one order however many rows there are.
namespace stepdown::kernels {
namespace {

constexpr std::int64_t kStep = 32;               // columns of one product
constexpr std::int64_t kChunk = 512;             // columns whose inputs stay in the first-level cache
constexpr std::int64_t kFewColumns = 64;         // of four tiles, whose pairs stay there with room to spare
constexpr std::int64_t kMostRows = 2 * kInputs;  // that meet a pair of tiles at once

/// One product: weights of up to kGroupTiles tiles, inputs, and where it goes.
struct Product {
  const std::byte* tile;
  std::int64_t tiles;
  std::int64_t columns;
  const float* input;
  std::int64_t input_stride;
  float* out;
  std::int64_t out_stride;
  bool accumulate;

  const std::byte* tile_at(std::int64_t index) const {
    return tile + index * whole_cache_lines(columns * kTileRows * 2);
  }
  /// Of the chunk that begins there, in whole steps.
  std::int64_t chunk_end(std::int64_t begin) const {
    return std::min(begin + kChunk, (columns + kStep - 1) / kStep * kStep);
  }
  /// Columns [begin, end) of a tile as the matrix product wants them, rows of pairs; zeros behind the last.
  void unpack(std::int64_t index, std::int64_t begin, std::int64_t end, __m512i* pairs) const {
    const std::byte* const from = tile_at(index);
    for (std::int64_t column = begin; column < end; column += 2, ++pairs)
      *pairs = column < columns ? bf16_pairs(from + column * kTileRows * 2) : _mm512_setzero_si512();
  }
};

/// Input rows of one chunk.
struct Inputs {
  alignas(64) std::uint16_t rows[kMostRows][kChunk];

  void round(const Product& of, std::int64_t first, std::int64_t count, std::int64_t begin) {
    for (std::int64_t row = 0; row < count; ++row) {
      round_to_bf16(of.input + (first + row) * of.input_stride + begin, std::min(kChunk, of.columns - begin),
                    rows[row]);
    }
    written(rows);
  }
};

/// What a tile's 16 rows and some inputs add up to in one chunk.
struct Totals {
  alignas(64) float of[kMostRows][kTileRows];

  void add_to(const Product& product, std::int64_t tile, std::int64_t first, std::int64_t count,
              bool accumulate) const {
    for (std::int64_t row = 0; row < count; ++row) {
      put<Avx512>(product.out + (first + row) * product.out_stride + tile * kTileRows, Avx512::load(of[row]),
                  accumulate);
    }
  }
};

// Registers 0 to 3 hold sums, 4 and 5 inputs, 6 and 7 weights. Of inputs and sums, those of odd numbers are
// of `second` rows.
void configure(std::int64_t first, std::int64_t second) {
  Shape shape;
  for (const int i : {0, 1, 2, 3, 4, 5, 6, 7}) shape.row_bytes[i] = 64;
  for (const int i : {0, 2, 4}) shape.rows[i] = static_cast<std::uint8_t>(first);
  for (const int i : {1, 3, 5}) shape.rows[i] = static_cast<std::uint8_t>(second);
  for (const int i : {6, 7}) shape.rows[i] = kStep / 2;
  shape.load();
}

/// Few rows, with up to four tiles in turn, as each sum waits long for the one before. Tiles are unpacked
/// just before they are used.
template <int kTiles>
struct FewRows {
  __m512i pairs[kTiles][kFewColumns / 2];
  Totals totals[kTiles];

  void unpack(const Product& of, std::int64_t tile, std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t kAhead = 4 * kFewColumns;
    for (int i = 0; i < kTiles; ++i) {
      const std::byte* const next = of.tile_at(tile + i) + (begin + kAhead) * kTileRows * 2;
      for (std::int64_t at = 0; at < kFewColumns * kTileRows * 2; at += 64) __builtin_prefetch(next + at);
      of.unpack(tile + i, begin, end, pairs[i]);
    }
    written(pairs);
  }
  static void clear() {
    _tile_zero(0);
    if constexpr (kTiles > 1) _tile_zero(1);
    if constexpr (kTiles > 2) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  void store() {
    _tile_stored(0, totals[0].of, 64);
    if constexpr (kTiles > 1) _tile_stored(1, totals[1].of, 64);
    if constexpr (kTiles > 2) {
      _tile_stored(2, totals[2].of, 64);
      _tile_stored(3, totals[3].of, 64);
    }
    written(totals);
  }
  /// Adds the products of `columns` columns, with the inputs from column `first` of the chunk on.
  void add(const Inputs& inputs, std::int64_t first, std::int64_t columns) const {
    for (std::int64_t column = 0; column < columns; column += kStep) {
      _tile_loadd(4, inputs.rows[0] + first + column, sizeof inputs.rows[0]);
      _tile_loadd(6, pairs[0] + column / 2, 64);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (kTiles > 1) {
        _tile_loadd(7, pairs[1] + column / 2, 64);
        _tile_dpbf16ps(1, 4, 7);
      }
      if constexpr (kTiles > 2) {
        _tile_loadd(6, pairs[2] + column / 2, 64);
        _tile_dpbf16ps(2, 4, 6);
        _tile_loadd(7, pairs[3] + column / 2, 64);
        _tile_dpbf16ps(3, 4, 7);
      }
    }
  }

  void multiply(const Product& of, const Inputs& inputs, std::int64_t tile, std::int64_t rows,
                std::int64_t begin) {
    const std::int64_t chunk_end = of.chunk_end(begin);
    clear();
    for (std::int64_t column = begin; column < chunk_end; column += kFewColumns) {
      const std::int64_t end = std::min(column + kFewColumns, chunk_end);
      unpack(of, tile, column, end);
      add(inputs, column - begin, end - column);
    }
    store();
    for (int i = 0; i < kTiles; ++i) totals[i].add_to(of, tile + i, 0, rows, of.accumulate || begin > 0);
  }
};

void multiply_few(const Product& of, std::int64_t rows) {
  Inputs inputs;
  configure(rows, rows);  // sums of every tile are of all rows
  for (std::int64_t begin = 0; begin < of.columns; begin += kChunk) {
    inputs.round(of, 0, rows, begin);
    const auto take = [&]<int kTiles>(std::int64_t tile) {
      FewRows<kTiles>().multiply(of, inputs, tile, rows, begin);
    };
    std::int64_t tile = 0;
    for (; tile + 4 <= of.tiles; tile += 4) take.template operator()<4>(tile);
    for (; tile + 2 <= of.tiles; tile += 2) take.template operator()<2>(tile);
    if (tile < of.tiles) take.template operator()<1>(tile);
  }
}

/// A chunk of a group of tiles, unpacked once for many rows.
struct ManyRows {
  __m512i pairs[kGroupTiles][kChunk / 2];
  Inputs inputs;
  Totals totals[2];

  /// Two times 16 rows of inputs or fewer, and two tiles or one.
  template <bool kTwoRows, bool kTwoTiles>
  void add_up(std::int64_t tile, std::int64_t columns) {
    constexpr bool kAll = kTwoRows && kTwoTiles;
    const __m512i* const next = pairs[tile + (kTwoTiles ? 1 : 0)];
    _tile_zero(0);
    if constexpr (kTwoRows) _tile_zero(1);
    if constexpr (kTwoTiles) _tile_zero(2);
    if constexpr (kAll) _tile_zero(3);
    for (std::int64_t column = 0; column < columns; column += kStep) {
      _tile_loadd(4, inputs.rows[0] + column, sizeof inputs.rows[0]);
      _tile_loadd(6, pairs[tile] + column / 2, 64);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (kTwoRows) {
        _tile_loadd(5, inputs.rows[kInputs] + column, sizeof inputs.rows[0]);
        _tile_dpbf16ps(1, 5, 6);
      }
      if constexpr (kTwoTiles) {
        _tile_loadd(7, next + column / 2, 64);
        _tile_dpbf16ps(2, 4, 7);
      }
      if constexpr (kAll) _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, totals[0].of, 64);
    if constexpr (kTwoRows) _tile_stored(1, totals[0].of[kInputs], 64);
    if constexpr (kTwoTiles) _tile_stored(2, totals[1].of, 64);
    if constexpr (kAll) _tile_stored(3, totals[1].of[kInputs], 64);
    written(totals);
  }

  template <bool kTwoRows>
  void multiply(const Product& of, std::int64_t first, std::int64_t count, std::int64_t begin) {
    const std::int64_t columns = of.chunk_end(begin) - begin;
    const bool accumulate = of.accumulate || begin > 0;
    std::int64_t tile = 0;
    for (; tile + 2 <= of.tiles; tile += 2) {
      add_up<kTwoRows, true>(tile, columns);
      totals[0].add_to(of, tile, first, count, accumulate);
      totals[1].add_to(of, tile + 1, first, count, accumulate);
    }
    if (tile == of.tiles) return;
    add_up<kTwoRows, false>(tile, columns);
    totals[0].add_to(of, tile, first, count, accumulate);
  }
};

void multiply_many(const Product& of, std::int64_t count) {
  ManyRows chunk;
  for (std::int64_t begin = 0; begin < of.columns; begin += kChunk) {
    for (std::int64_t i = 0; i < of.tiles; ++i) of.unpack(i, begin, of.chunk_end(begin), chunk.pairs[i]);
    for (std::int64_t first = 0; first < count; first += kMostRows) {
      const std::int64_t rows = std::min(kMostRows, count - first);
      const bool two = rows > kInputs;
      if (first == 0 || rows < kMostRows) configure(std::min(rows, kInputs), two ? rows - kInputs : 1);
      chunk.inputs.round(of, first, rows, begin);
      two ? chunk.multiply<true>(of, first, rows, begin) : chunk.multiply<false>(of, first, rows, begin);
    }
  }
}

}  // namespace

void amx_bf16_tiles(const std::byte* tile, std::int64_t tiles, std::int64_t columns, const float* input,
                    std::int64_t input_stride, std::int64_t count, float* out, std::int64_t out_stride,
                    bool accumulate) {
  const Product of{tile, tiles, columns, input, input_stride, out, out_stride, accumulate};
  count <= kInputs ? multiply_few(of, count) : multiply_many(of, count);
  _tile_release();
}

}  // namespace stepdown::kernels

#endif
