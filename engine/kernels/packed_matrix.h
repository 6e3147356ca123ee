#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/tensor.h"
#include "engine/kernels/packing.h"

namespace stepdown::kernels {

/// Element layouts of a tile: codes as kPackings says, or plain floats as [column][16 rows].
enum class TileKind { kCodes, kF32, kF16, kBF16 };

/// A weight matrix repacked into tiles of 16 interleaved rows; the last tile is padded with zero rows. How
/// tiles follow each other says packing.h. A view: the memory belongs to the model.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Bytes to give the constructor. Throws InputError for a type or shape that no kernel can multiply.
  static std::size_t packed_bytes(const TensorView& tensor);
  /// Repacks into `memory` (64-byte aligned).
  PackedMatrix(const TensorView& tensor, std::span<std::byte> memory);

  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t tiles() const { return (rows_ + kTileRows - 1) / kTileRows; }
  std::int64_t panels() const { return (columns_ + kPanelColumns - 1) / kPanelColumns; }
  std::int64_t panel_columns(std::int64_t panel) const {
    return std::min(kPanelColumns, columns_ - panel * kPanelColumns);
  }
  std::size_t bytes() const { return static_cast<std::size_t>(tiles() * tile_row_bytes()); }
  const std::byte* tile(std::int64_t index, std::int64_t panel) const {
    return data_ + tile_offset(index, panel);
  }
  TileKind kind() const { return kind_; }
  /// Of kPackings; only for TileKind::kCodes.
  std::size_t packing() const { return packing_; }

 private:
  explicit PackedMatrix(const TensorView& tensor);
  std::int64_t tile_bytes(std::int64_t columns) const;
  /// Of a row of tiles, through all panels.
  std::int64_t tile_row_bytes() const { return (panels() - 1) * tile_bytes_ + last_bytes_; }
  std::int64_t tile_offset(std::int64_t index, std::int64_t panel) const;
  /// One panel's tile of the `count` rows from `row` on, into zeros.
  void pack_codes(const TensorView& tensor, std::int64_t row, std::int64_t count, std::int64_t panel,
                  std::byte* tile) const;
  void pack_plain(const TensorView& tensor, std::int64_t row, std::int64_t count, std::int64_t panel,
                  std::byte* tile) const;

  std::int64_t rows_ = 0;
  std::int64_t columns_ = 0;
  std::int64_t tile_bytes_ = 0;  ///< of whole panels
  std::int64_t last_bytes_ = 0;  ///< of the last panel
  TileKind kind_ = TileKind::kF32;
  std::size_t packing_ = 0;
  std::byte* data_ = nullptr;
};

}  // namespace stepdown::kernels
