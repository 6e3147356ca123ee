#include "engine/model/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/half.h"
#include "engine/formats/quantized/float8.h"

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

// The largest magnitude / `top`; NaN when any value is not finite, so that it shows in attention.
float scale_of(const float* values, std::int64_t count, float top) {
  float largest = 0.0f;
  float poison = 0.0f;
  for (std::int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::abs(values[i]));
    poison += values[i] * 0.0f;
  }
  return largest / top + poison;
}

std::byte int8_code(float scaled) {
  return static_cast<std::byte>(
      static_cast<std::int8_t>(std::clamp(std::nearbyint(scaled), -127.0f, 127.0f)));
}

std::byte fp8_code(float scaled) {
  return static_cast<std::byte>(formats::f32_to_e4m3(scaled));
}

/// How elements become bytes: value = code · unit · scale.
struct Coding {
  float top;   ///< largest code
  float unit;  ///< that the kernel reads a code in
  std::byte (*code)(float scaled);
};

Coding coding_of(KvType type) {
  if (type == KvType::kFp8) return {formats::kLargestE4m3, kernels::kFp8Unit, fp8_code};
  return {127.0f, 1.0f, int8_code};
}

}  // namespace

std::vector<KvCache::Layout> KvCache::layouts_of(const KvShape& shape, std::span<const KvType> types) {
  std::vector<Layout> layouts;
  std::int64_t offset = 0;
  for (const KvType type : types) {
    const std::int64_t bytes = type == KvType::kF16 ? 2 : 1;
    const std::int64_t values = kPageTokens * shape.head_dim * bytes;
    const std::int64_t scales = values + kPageTokens * padded(shape.head_dim) * bytes;
    const std::int64_t head = scales + (type == KvType::kF16 ? 0 : 2 * kPageTokens * 2);
    layouts.push_back({type, offset, bytes, values, scales, head});
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
  return head_at(layer, page, head) + tile * shape_.head_dim * kTileRows * layout(layer).element_bytes;
}

const std::byte* KvCache::value_tile(std::int64_t layer, std::int64_t page, std::int64_t head,
                                     std::int64_t tile) const {
  return head_at(layer, page, head) + layout(layer).values_offset +
         tile * kPageTokens * kTileRows * layout(layer).element_bytes;
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
      break;
  }
  return operations.f8_tile;
}

void KvCache::store(std::int64_t layer, std::int64_t page, std::int64_t slot, const float* keys,
                    const float* values) {
  const std::int64_t dimensions = shape_.head_dim;
  const Layout& at = layout(layer);
  const std::int64_t next_tile = kPageTokens * kTileRows * at.element_bytes;
  for (std::int64_t head = 0; head < shape_.kv_heads; ++head, keys += dimensions, values += dimensions) {
    std::byte* base = head_at(layer, page, head);
    std::byte* key =
        base + ((slot / kTileRows) * dimensions * kTileRows + slot % kTileRows) * at.element_bytes;
    std::byte* value = base + at.values_offset + slot * kTileRows * at.element_bytes;
    if (at.type == KvType::kF16) {
      for (std::int64_t i = 0; i < dimensions; ++i) {
        put_f16(key + i * kTileRows * 2, keys[i]);
        put_f16(value + i / kTileRows * next_tile + i % kTileRows * 2, values[i]);
      }
      continue;
    }
    const Coding coding = coding_of(at.type);
    const float key_scale = scale_of(keys, dimensions, coding.top);
    const float value_scale = scale_of(values, dimensions, coding.top);
    const auto code = [&](float x, float scale) {
      return coding.code(scale > 0.0f ? x / scale : 0.0f);  // a NaN scale is not above 0
    };
    for (std::int64_t i = 0; i < dimensions; ++i) {
      key[i * kTileRows] = code(keys[i], key_scale);
      value[i / kTileRows * next_tile + i % kTileRows] = code(values[i], value_scale);
    }
    put_f16(base + at.scales_offset + slot * 2, key_scale / coding.unit);
    put_f16(base + at.scales_offset + (kPageTokens + slot) * 2, value_scale / coding.unit);
  }
}

}  // namespace stepdown::model
