#include "engine/kernels/packed_matrix.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "engine/base/error.h"
#include "engine/kernels/unpack_block.h"

namespace stepdown::kernels {
namespace {

constexpr std::int64_t kWord = 64;

std::int64_t element_bytes(TileKind kind) {
  return kind == TileKind::kF32 ? 4 : 2;
}

// Writes one row's codes of 32 columns into the planes of their block. Four columns' codes, a byte each, move
// together, since all moves of a plane's bits keep to their byte.
template <int kBits>
void put_codes(const std::uint8_t* codes, std::int64_t row, std::byte* block) {
  constexpr Planes kPlanes = planes_of(kBits);
  constexpr int kSteps = 8;
  std::uint32_t four[kSteps];
  std::memcpy(four, codes, sizeof four);
#pragma GCC unroll 2
  for (int i = 0; i < kPlanes.count; ++i) {
    const Plane plane = kPlanes.plane[static_cast<std::size_t>(i)];
    const int fields = 8 / plane.width;
    const std::uint32_t mask = ((1u << plane.width) - 1u) * 0x01010101u;
#pragma GCC unroll 8
    for (int step = 0; step < kSteps; step += fields) {
      std::uint32_t word = 0;
#pragma GCC unroll 8
      for (int field = 0; field < fields; ++field)
        word |= ((four[step + field] >> plane.low) & mask) << (field * plane.width);
      std::memcpy(block + step / fields * kWord + row * 4, &word, sizeof word);
    }
    block += plane.width * kWord;
  }
}

using PutCodes = void (*)(const std::uint8_t*, std::int64_t, std::byte*);
PutCodes put_codes_of(int bits) {
  constexpr std::array<PutCodes, 9> kByBits = {nullptr,      nullptr,      put_codes<2>,
                                               put_codes<3>, put_codes<4>, put_codes<5>,
                                               put_codes<6>, nullptr,      put_codes<8>};
  return kByBits.at(static_cast<std::size_t>(bits));
}

// Where the scales of one row go within a tile.
struct ScaleWriter {
  const Packing& packing;
  std::byte* tile;
  std::int64_t row;

  void put_half(std::int64_t offset, std::uint16_t bits) const {
    std::memcpy(tile + offset + row * 2, &bits, sizeof bits);
  }

  void one_level(std::int64_t block, const UnpackedBlock& from) const {
    const std::int64_t offset = packing.scales_at(block);
    put_half(offset, from.scale);
    if (packing.minima) put_half(offset + kTileRows * 2, from.minimum);
  }

  void two_level(std::int64_t super, const UnpackedBlock& from) const {
    const std::int64_t offset = packing.supers_at(super);
    put_half(offset, from.scale);
    if (packing.minima) put_half(offset + kTileRows * 2, from.minimum);
    constexpr std::int64_t kBlocks = kSuperBlock / kBlock;
    std::size_t group = 0;
    for (std::int64_t block = super * kBlocks; block < (super + 1) * kBlocks; ++block) {
      std::byte* scales = tile + packing.scales_at(block) + row;
      for (std::int64_t i = 0; i < packing.groups(); ++i, ++group) {
        *scales = static_cast<std::byte>(from.scales[group]);
        if (packing.minima) scales[kTileRows] = static_cast<std::byte>(from.minima[group]);
        scales += packing.scales_per_group() * kTileRows;
      }
    }
  }
};

// Interleaves the columns of up to kTileRows rows; lanes beyond them stay as they are.
template <class Element>
void pack_elements(const std::byte* rows, std::size_t row_bytes, std::int64_t count, std::int64_t columns,
                   std::byte* tile) {
  constexpr std::int64_t kAtOnce = 16;  // columns whose cache lines stay at hand
  for (std::int64_t begin = 0; begin < columns; begin += kAtOnce) {
    const std::int64_t end = std::min(columns, begin + kAtOnce);
    for (std::int64_t lane = 0; lane < count; ++lane) {
      const std::byte* from = rows + static_cast<std::size_t>(lane) * row_bytes;
      for (std::int64_t column = begin; column < end; ++column)
        std::memcpy(tile + (column * kTileRows + lane) * sizeof(Element), from + column * sizeof(Element),
                    sizeof(Element));
    }
  }
}

}  // namespace

PackedMatrix::PackedMatrix(const TensorView& tensor) : rows_(tensor.rows()), columns_(tensor.columns()) {
  const auto bytes = row_bytes(tensor.type, static_cast<std::size_t>(columns_));
  if (tensor.shape.size() != 2 || rows_ <= 0 || !bytes ||
      tensor.data.size() != *bytes * static_cast<std::size_t>(rows_)) {
    throw InputError("a weight matrix has a shape that its bytes do not fill", "tensor " + tensor.name,
                     "convert the model again");
  }
  if (const auto index = packing_index(tensor.type)) {
    kind_ = TileKind::kCodes;
    packing_ = *index;
  } else {
    switch (tensor.type) {
      case DType::kF32:
        kind_ = TileKind::kF32;
        break;
      case DType::kBF16:
        kind_ = TileKind::kBF16;
        break;
      case DType::kF16:
        kind_ = TileKind::kF16;
        break;
      default:
        throw InputError("no kernel multiplies weights of type " + std::string(dtype_info(tensor.type).name),
                         "tensor " + tensor.name, "quantize the model to a GGUF type such as Q8_0 or Q4_K_M");
    }
  }
  tile_bytes_ = tile_bytes(kPanelColumns);
  last_bytes_ = tile_bytes(panel_columns(panels() - 1));
}

std::int64_t PackedMatrix::tile_bytes(std::int64_t columns) const {
  return kind_ == TileKind::kCodes ? kPackings[packing_].tile_bytes(columns)
                                   : whole_cache_lines(columns * kTileRows * element_bytes(kind_));
}

std::int64_t PackedMatrix::tile_offset(std::int64_t index, std::int64_t panel) const {
  const std::int64_t group = index / kGroupTiles * kGroupTiles;
  const std::int64_t tiles_of_group = std::min(kGroupTiles, tiles() - group);
  return group * tile_row_bytes() + panel * tiles_of_group * tile_bytes_ +
         (index - group) * (panel + 1 == panels() ? last_bytes_ : tile_bytes_);
}

std::size_t PackedMatrix::packed_bytes(const TensorView& tensor) {
  return PackedMatrix(tensor).bytes();
}

PackedMatrix::PackedMatrix(const TensorView& tensor, std::span<std::byte> memory) : PackedMatrix(tensor) {
  if (memory.size() < bytes())
    throw Error("too little memory for the packed matrix", "tensor " + tensor.name);
  data_ = memory.data();
  for (std::int64_t tile = 0; tile < tiles(); ++tile) {
    const std::int64_t row = tile * kTileRows;
    const std::int64_t count = std::min(kTileRows, rows_ - row);
    for (std::int64_t panel = 0; panel < panels(); ++panel) {
      std::byte* to = data_ + tile_offset(tile, panel);
      // What no row writes: lanes beyond the last one, and what fills the last cache line.
      std::memset(to, 0, static_cast<std::size_t>(panel + 1 == panels() ? last_bytes_ : tile_bytes_));
      kind_ == TileKind::kCodes ? pack_codes(tensor, row, count, panel, to)
                                : pack_plain(tensor, row, count, panel, to);
    }
  }
}

void PackedMatrix::pack_plain(const TensorView& tensor, std::int64_t row, std::int64_t count,
                              std::int64_t panel, std::byte* tile) const {
  const auto size = static_cast<std::size_t>(element_bytes(kind_));
  const std::size_t stored = static_cast<std::size_t>(columns_) * size;
  const std::byte* from = tensor.data.data() + static_cast<std::size_t>(row) * stored +
                          static_cast<std::size_t>(panel * kPanelColumns) * size;
  if (size == 4) return pack_elements<std::uint32_t>(from, stored, count, panel_columns(panel), tile);
  pack_elements<std::uint16_t>(from, stored, count, panel_columns(panel), tile);
}

void PackedMatrix::pack_codes(const TensorView& tensor, std::int64_t row, std::int64_t count,
                              std::int64_t panel, std::byte* tile) const {
  const Packing& packing = kPackings[packing_];
  const DTypeInfo& info = dtype_info(tensor.type);
  const auto elements = static_cast<std::int64_t>(info.block_elements);
  const auto block_bytes = static_cast<std::int64_t>(info.block_bytes);
  const std::int64_t stored = columns_ / elements * block_bytes;
  const std::byte* source =
      tensor.data.data() + row * stored + panel * kPanelColumns / elements * block_bytes;
  const UnpackBlock unpack = unpack_block(packing_);
  const PutCodes put = put_codes_of(packing.bits);
  UnpackedBlock block;
  for (std::int64_t i = 0; i < panel_columns(panel) / elements; ++i) {
    for (std::int64_t lane = 0; lane < count; ++lane) {
      unpack(source + lane * stored + i * block_bytes, block);
      for (std::int64_t column = 0; column < elements; column += kBlock)
        put(block.codes.data() + column, lane, tile + packing.planes_at((i * elements + column) / kBlock));
      const ScaleWriter scales{packing, tile, lane};
      packing.two_level ? scales.two_level(i, block) : scales.one_level(i, block);
    }
  }
}

}  // namespace stepdown::kernels
