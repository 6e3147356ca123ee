#include "engine/model/kv_cache.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/base/half.h"
#include "engine/base/halves.h"
#include "engine/formats/quantized/float8.h"
#include "engine/model/rotation.h"

namespace stepdown::model {
namespace {

using kernels::kTileRows;

std::int64_t padded(std::int64_t dimensions) {
  return (dimensions + kTileRows - 1) / kTileRows * kTileRows;
}

void put_f16(std::byte* at, float value) {
  const std::uint16_t bits = f32_to_f16(value);
  std::memcpy(at, &bits, sizeof bits);
}

std::byte int8_code(float scaled) {
  return static_cast<std::byte>(
      static_cast<std::int8_t>(std::clamp(std::nearbyint(scaled), -127.0f, 127.0f)));
}

std::byte fp8_code(float scaled) {
  return static_cast<std::byte>(formats::f32_to_e4m3(scaled));
}

std::byte int4_code(float scaled) {
  return static_cast<std::byte>(
      static_cast<std::uint8_t>(std::clamp(std::nearbyint(scaled) + kernels::kInt4Zero, 0.0f, 15.0f)));
}

/// How elements become bytes: value = code · unit · scale.
struct Coding {
  float top;       ///< the code of the element of largest magnitude
  bool one_sided;  ///< whatever its sign: the other side ends one code earlier
  float unit;      ///< that the kernel reads a code in
  std::byte (*code)(float scaled);
};

Coding coding_of(KvType type) {
  if (type == KvType::kInt4) return {-kernels::kInt4Zero, true, 1.0f, int4_code};
  if (type == KvType::kFp8) return {formats::kLargestE4m3, false, kernels::kFp8Unit, fp8_code};
  return {127.0f, false, 1.0f, int8_code};
}

// NaN when any value is not finite, so that it shows in attention.
float scale_of(const Coding& coding, const float* values, std::int64_t count) {
  float largest = 0.0f;
  float poison = 0.0f;
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::abs(values[i]) > std::abs(largest)) largest = values[i];
    poison += values[i] * 0.0f;
  }
  return (coding.one_sided ? largest : std::abs(largest)) / coding.top + poison;
}

std::int64_t bits_of(KvType type) {
  if (type == KvType::kF16) return 16;
  return type == KvType::kInt4 ? 4 : 8;
}

// Element `index` of a tile whose elements take `bits`, 4 or 8.
void put(std::byte* tile, std::int64_t index, std::int64_t bits, std::byte code) {
  if (bits == 8) {
    tile[index] = code;
    return;
  }
  std::byte& pair = tile[index / 2];
  pair = index % 2 == 0 ? (pair & std::byte{0xf0}) | code : (pair & std::byte{0x0f}) | code << 4;
}

/// Room for a head's numbers that the caller owns: memory of its own only for larger heads than are usual.
class HeadScratch {
 public:
  explicit HeadScratch(std::int64_t count) {
    if (count > static_cast<std::int64_t>(usual_.size())) large_.resize(static_cast<std::size_t>(count));
  }
  float* data() { return large_.empty() ? usual_.data() : large_.data(); }

 private:
  std::array<float, 512> usual_;
  std::vector<float> large_;
};

// One head's keys or values as codes: put_code(i, code) for each element. Answers the scale to keep.
template <class Put>
float encode(const Coding& coding, const float* head, std::int64_t dimensions, const Put& put_code) {
  const float scale = scale_of(coding, head, dimensions);
  const bool usable = std::abs(scale) > 0.0f;  // NaN is not
  for (std::int64_t i = 0; i < dimensions; ++i) put_code(i, coding.code(usable ? head[i] / scale : 0.0f));
  return scale / coding.unit;
}

}  // namespace

std::vector<KvCache::Layout> KvCache::layouts_of(const KvShape& shape, std::span<const KvType> types) {
  std::vector<Layout> layouts;
  std::int64_t offset = 0;
  for (const KvType type : types) {
    const std::int64_t bits = bits_of(type);
    const std::int64_t values = kPageTokens * shape.head_dim * bits / 8;
    const std::int64_t scales = values + kPageTokens * padded(shape.head_dim) * bits / 8;
    const std::int64_t head = scales + (type == KvType::kF16 ? 0 : 2 * kPageTokens * 2);
    layouts.push_back({type, offset, bits, values, scales, head});
    offset += shape.kv_heads * head;
  }
  return layouts;
}

KvCache::KvCache(const KvShape& shape, std::span<const KvType> types, std::int64_t pages)
    : shape_(shape),
      pages_(pages),
      layouts_(layouts_of(shape, types)),
      page_bytes_(static_cast<std::int64_t>(page_bytes(shape, types))),
      memory_(static_cast<std::size_t>(page_bytes_ * pages), kernels::PageBuffer::Pages::kSmall) {}

std::size_t KvCache::page_bytes(const KvShape& shape, std::span<const KvType> types) {
  const Layout last = layouts_of(shape, types).back();
  return static_cast<std::size_t>(last.offset + shape.kv_heads * last.head_bytes);
}

std::byte* KvCache::head_at(std::int64_t layer, std::int64_t page, std::int64_t head) const {
  return memory_.data() + page * page_bytes_ + layout(layer).offset + head * layout(layer).head_bytes;
}

const std::byte* KvCache::key_tile(std::int64_t layer, std::int64_t page, std::int64_t head,
                                   std::int64_t tile) const {
  return head_at(layer, page, head) + tile * shape_.head_dim * kTileRows * layout(layer).element_bits / 8;
}

const std::byte* KvCache::value_tile(std::int64_t layer, std::int64_t page, std::int64_t head,
                                     std::int64_t tile) const {
  return head_at(layer, page, head) + layout(layer).values_offset +
         tile * kPageTokens * kTileRows * layout(layer).element_bits / 8;
}

const std::uint16_t* KvCache::key_scales(std::int64_t layer, std::int64_t page, std::int64_t head) const {
  if (type(layer) == KvType::kF16) return nullptr;
  return reinterpret_cast<const std::uint16_t*>(head_at(layer, page, head) + layout(layer).scales_offset);
}

const std::uint16_t* KvCache::value_scales(std::int64_t layer, std::int64_t page, std::int64_t head) const {
  if (type(layer) == KvType::kF16) return nullptr;
  return key_scales(layer, page, head) + kPageTokens;
}

kernels::PlainTile KvCache::tile_product(const kernels::Operations& operations, std::int64_t layer) const {
  switch (type(layer)) {
    case KvType::kF16:
      return operations.f16_tile;
    case KvType::kInt8:
      return operations.i8_tile;
    case KvType::kFp8:
      return operations.f8_tile;
    case KvType::kInt4:
      break;
  }
  return operations.i4_tile;
}

void KvCache::store(std::int64_t layer, std::int64_t page, std::int64_t slot, const float* keys,
                    const float* values) {
  const std::int64_t dimensions = shape_.head_dim;
  const Layout& at = layout(layer);
  HeadScratch turned(holds_rotated(at.type) ? 2 * dimensions : 0);
  for (std::int64_t head = 0; head < shape_.kv_heads; ++head, keys += dimensions, values += dimensions) {
    std::byte* base = head_at(layer, page, head);
    if (at.type == KvType::kF16) {
      store_f16(at, base, slot, keys, values);
    } else if (holds_rotated(at.type)) {
      std::copy_n(keys, dimensions, turned.data());
      std::copy_n(values, dimensions, turned.data() + dimensions);
      rotate_head(turned.data(), dimensions);
      rotate_head(turned.data() + dimensions, dimensions);
      store_coded(at, base, slot, turned.data(), turned.data() + dimensions);
    } else {
      store_coded(at, base, slot, keys, values);
    }
  }
}

void KvCache::store_f16(const Layout& at, std::byte* head, std::int64_t slot, const float* keys,
                        const float* values) const {
  const std::int64_t dimensions = shape_.head_dim;
  std::byte* key = head + ((slot / kTileRows) * dimensions * kTileRows + slot % kTileRows) * 2;
  std::byte* value = head + at.values_offset + slot * kTileRows * 2;
  const auto value_at = [&](std::int64_t i) {
    return value + i / kTileRows * kPageTokens * kTileRows * 2 + i % kTileRows * 2;
  };
  std::int64_t i = 0;
  for (; i + kHalvesTogether <= dimensions; i += kHalvesTogether) {
    std::array<std::uint16_t, kHalvesTogether> halves;
    to_halves(keys + i, halves.data());
    for (std::int64_t k = 0; k < kHalvesTogether; ++k)
      std::memcpy(key + (i + k) * kTileRows * 2, &halves[static_cast<std::size_t>(k)], 2);
    to_halves(values + i, halves.data());
    std::memcpy(value_at(i), halves.data(), sizeof halves);
  }
  for (; i < dimensions; ++i) {
    put_f16(key + i * kTileRows * 2, keys[i]);
    put_f16(value_at(i), values[i]);
  }
}

void KvCache::store_coded(const Layout& at, std::byte* head, std::int64_t slot, const float* keys,
                          const float* values) const {
  const std::int64_t dimensions = shape_.head_dim;
  const std::int64_t bits = at.element_bits;
  std::byte* key = head + (slot / kTileRows) * dimensions * kTileRows * bits / 8;
  std::byte* value = head + at.values_offset + slot * kTileRows * bits / 8;
  const std::int64_t next_tile = kPageTokens * kTileRows * bits / 8;
  const Coding coding = coding_of(at.type);
  const float key_scale = encode(coding, keys, dimensions, [&](std::int64_t i, std::byte code) {
    put(key, i * kTileRows + slot % kTileRows, bits, code);
  });
  const float value_scale = encode(coding, values, dimensions, [&](std::int64_t i, std::byte code) {
    put(value + i / kTileRows * next_tile, i % kTileRows, bits, code);
  });
  put_f16(head + at.scales_offset + slot * 2, key_scale);
  put_f16(head + at.scales_offset + (kPageTokens + slot) * 2, value_scale);
}

}  // namespace stepdown::model
