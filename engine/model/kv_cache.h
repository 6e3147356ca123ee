#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/operations.h"
#include "engine/kernels/page_buffer.h"
#include "engine/model/kv_type.h"

namespace stepdown::model {

/// Dimensions of the cache; elements.
struct KvShape {
  std::int64_t layers;
  std::int64_t kv_heads;
  std::int64_t head_dim;
};

/// Keys and values of all sequences in pages of 64 tokens; who owns a page is the scheduler's business.
/// Within a page, each layer and head holds its keys as tiles [head_dim][16 tokens] and its values as tiles
/// [64 tokens][16 dimensions]: both products of attention are then the tile products that weights use. Each
/// layer has a type of its own.
class KvCache {
 public:
  static constexpr std::int64_t kPageTokens = 64;
  /// Slots 2i and 2i + 1 of a page share bytes: only one thread may store to them at a time.
  static constexpr std::int64_t kSlotsTogether = 2;

  /// One type a layer.
  KvCache(const KvShape& shape, std::span<const KvType> types, std::int64_t pages);

  std::int64_t pages() const { return pages_; }
  KvType type(std::int64_t layer) const { return layout(layer).type; }
  const KvShape& shape() const { return shape_; }
  /// Bytes of one page, over all layers.
  static std::size_t page_bytes(const KvShape& shape, std::span<const KvType> types);

  /// One token's keys and values of one layer, each [kv_heads][head_dim].
  void store(std::int64_t layer, std::int64_t page, std::int64_t slot, const float* keys,
             const float* values);

  /// Tile of 16 tokens' keys, and their 16 scales (binary16; null for F16).
  const std::byte* key_tile(std::int64_t layer, std::int64_t page, std::int64_t head,
                            std::int64_t tile) const;
  const std::uint16_t* key_scales(std::int64_t layer, std::int64_t page, std::int64_t head) const;
  /// Tile of 16 dimensions of the page's values; scales per token.
  const std::byte* value_tile(std::int64_t layer, std::int64_t page, std::int64_t head,
                              std::int64_t tile) const;
  const std::uint16_t* value_scales(std::int64_t layer, std::int64_t page, std::int64_t head) const;
  kernels::PlainTile tile_product(const kernels::Operations& operations, std::int64_t layer) const;

 private:
  /// Of one layer's part of a page; bytes.
  struct Layout {
    KvType type;
    std::int64_t offset;  ///< of the layer within a page
    std::int64_t element_bits;
    std::int64_t values_offset;  ///< of the values within a head
    std::int64_t scales_offset;
    std::int64_t head_bytes;
  };
  static std::vector<Layout> layouts_of(const KvShape& shape, std::span<const KvType> types);
  void store_f16(const Layout& at, std::byte* head, std::int64_t slot, const float* keys,
                 const float* values) const;
  void store_coded(const Layout& at, std::byte* head, std::int64_t slot, const float* keys,
                   const float* values) const;
  const Layout& layout(std::int64_t layer) const { return layouts_[static_cast<std::size_t>(layer)]; }
  std::byte* head_at(std::int64_t layer, std::int64_t page, std::int64_t head) const;

  KvShape shape_;
  std::int64_t pages_;
  std::vector<Layout> layouts_;  ///< by layer
  std::int64_t page_bytes_;
  kernels::PageBuffer memory_;
};

}  // namespace stepdown::model
