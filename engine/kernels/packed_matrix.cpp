#include "engine/kernels/packed_matrix.h"

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

// Writes four columns' codes, one step, into the planes of their block of 32 columns: a byte each, which all
// moves of a plane's bits keep to.
void put_step(const Planes& planes, std::byte* block, std::int64_t row, std::int64_t step,
              const std::uint8_t* codes) {
  std::uint32_t four = 0;
  std::memcpy(&four, codes, sizeof four);
  for (int i = 0; i < planes.count; ++i) {
    const Plane& plane = planes.plane[static_cast<std::size_t>(i)];
    const std::int64_t fields = 8 / plane.width;
    const std::uint32_t mask = ((1u << plane.width) - 1u) * 0x01010101u;
    std::byte* target = block + step / fields * kWord + row * 4;
    std::uint32_t word = 0;
    std::memcpy(&word, target, sizeof word);
    word |= ((four >> plane.low) & mask) << (step % fields * plane.width);
    std::memcpy(target, &word, sizeof word);
    block += plane.width * kWord;
  }
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

void pack_elements(std::span<const std::byte> elements, std::int64_t lane, std::int64_t size,
                   std::byte* tile) {
  const auto count = static_cast<std::int64_t>(elements.size()) / size;
  for (std::int64_t column = 0; column < count; ++column) {
    std::memcpy(tile + (column * kTileRows + lane) * size, elements.data() + column * size,
                static_cast<std::size_t>(size));
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
  const std::int64_t bytes = kind_ == TileKind::kCodes ? kPackings[packing_].tile_bytes(columns)
                                                       : columns * kTileRows * element_bytes(kind_);
  return (bytes + kWord - 1) / kWord * kWord;
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
  std::memset(data_, 0, bytes());
  const std::size_t stored = tensor.data.size() / static_cast<std::size_t>(rows_);
  for (std::int64_t row = 0; row < rows_; ++row) {
    if (kind_ == TileKind::kCodes) {
      pack_codes(tensor, row);
      continue;
    }
    const std::int64_t size = element_bytes(kind_);
    const auto source = tensor.data.subspan(static_cast<std::size_t>(row) * stored, stored);
    for (std::int64_t panel = 0; panel < panels(); ++panel) {
      pack_elements(source.subspan(static_cast<std::size_t>(panel * kPanelColumns * size),
                                   static_cast<std::size_t>(panel_columns(panel) * size)),
                    row % kTileRows, size, data_ + tile_offset(row / kTileRows, panel));
    }
  }
}

void PackedMatrix::pack_codes(const TensorView& tensor, std::int64_t row) {
  const Packing& packing = kPackings[packing_];
  const Planes planes = planes_of(packing.bits);
  const DTypeInfo& info = dtype_info(tensor.type);
  const std::int64_t elements = info.block_elements;
  const std::int64_t panel_blocks = kPanelColumns / elements;
  const std::int64_t blocks = columns_ / elements;
  const std::byte* source = tensor.data.data() + row * blocks * info.block_bytes;
  const UnpackBlock unpack = unpack_block(packing_);
  UnpackedBlock block;
  for (std::int64_t i = 0; i < blocks; ++i) {
    unpack(source + i * info.block_bytes, block);
    const std::int64_t at = i % panel_blocks;  // within its panel
    std::byte* tile = data_ + tile_offset(row / kTileRows, i / panel_blocks);
    for (std::int64_t column = 0; column < elements; column += 4) {
      put_step(planes, tile + packing.planes_at((at * elements + column) / kBlock), row % kTileRows,
               column % kBlock / 4, block.codes.data() + static_cast<std::size_t>(column));
    }
    const ScaleWriter scales{packing, tile, row % kTileRows};
    packing.two_level ? scales.two_level(at, block) : scales.one_level(at, block);
  }
}

}  // namespace stepdown::kernels
