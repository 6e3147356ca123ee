#include "engine/model/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/half.h"

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

// The largest magnitude / 127; NaN when any value is not finite, so that it shows in attention.
float int8_scale(const float* values, std::int64_t count) {
  float largest = 0.0f;
  float poison = 0.0f;
  for (std::int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::abs(values[i]));
    poison += values[i] * 0.0f;
  }
  return largest / 127.0f + poison;
}

}  // namespace

KvCache::KvCache(const KvShape& shape, KvType type, std::int64_t pages)
    : shape_(shape),
      type_(type),
      pages_(pages),
      element_bytes_(type == KvType::kF16 ? 2 : 1),
      values_offset_(kPageTokens * shape.head_dim * element_bytes_),
      scales_offset_(values_offset_ + kPageTokens * padded(shape.head_dim) * element_bytes_),
      head_bytes_(scales_offset_ + (type == KvType::kInt8 ? 2 * kPageTokens * 2 : 0)),
      memory_(page_bytes(shape, type) * static_cast<std::size_t>(pages), kernels::PageBuffer::Pages::kSmall) {
}

std::size_t KvCache::page_bytes(const KvShape& shape, KvType type) {
  const std::int64_t elements = kPageTokens * (shape.head_dim + padded(shape.head_dim));
  const std::int64_t head = type == KvType::kF16 ? elements * 2 : elements + 2 * kPageTokens * 2;
  return static_cast<std::size_t>(shape.layers * shape.kv_heads * head);
}

std::byte* KvCache::head_at(std::int64_t layer, std::int64_t page, std::int64_t head) const {
  return memory_.data() + ((page * shape_.layers + layer) * shape_.kv_heads + head) * head_bytes_;
}

const std::byte* KvCache::key_tile(std::int64_t layer, std::int64_t page, std::int64_t head,
                                   std::int64_t tile) const {
  return head_at(layer, page, head) + tile * shape_.head_dim * kTileRows * element_bytes_;
}

const std::byte* KvCache::value_tile(std::int64_t layer, std::int64_t page, std::int64_t head,
                                     std::int64_t tile) const {
  return head_at(layer, page, head) + values_offset_ + tile * kPageTokens * kTileRows * element_bytes_;
}

const std::uint16_t* KvCache::key_scales(std::int64_t layer, std::int64_t page, std::int64_t head) const {
  if (type_ == KvType::kF16) return nullptr;
  return reinterpret_cast<const std::uint16_t*>(head_at(layer, page, head) + scales_offset_);
}

const std::uint16_t* KvCache::value_scales(std::int64_t layer, std::int64_t page, std::int64_t head) const {
  if (type_ == KvType::kF16) return nullptr;
  return key_scales(layer, page, head) + kPageTokens;
}

kernels::PlainTile KvCache::tile_product(const kernels::Operations& operations) const {
  return type_ == KvType::kF16 ? operations.f16_tile : operations.i8_tile;
}

void KvCache::store(std::int64_t layer, std::int64_t page, std::int64_t slot, const float* keys,
                    const float* values) {
  const std::int64_t dimensions = shape_.head_dim;
  for (std::int64_t head = 0; head < shape_.kv_heads; ++head, keys += dimensions, values += dimensions) {
    std::byte* base = head_at(layer, page, head);
    std::byte* key = base + ((slot / kTileRows) * dimensions * kTileRows + slot % kTileRows) * element_bytes_;
    std::byte* value = base + values_offset_ + slot * kTileRows * element_bytes_;
    const std::int64_t next_tile = kPageTokens * kTileRows * element_bytes_;
    if (type_ == KvType::kF16) {
      for (std::int64_t i = 0; i < dimensions; ++i) {
        put_f16(key + i * kTileRows * 2, keys[i]);
        put_f16(value + i / kTileRows * next_tile + i % kTileRows * 2, values[i]);
      }
      continue;
    }
    const float key_scale = int8_scale(keys, dimensions);
    const float value_scale = int8_scale(values, dimensions);
    const auto code = [](float x, float scale) {
      const float scaled = scale > 0.0f ? std::nearbyint(x / scale) : 0.0f;  // a NaN scale is not above 0
      return static_cast<std::byte>(static_cast<std::int8_t>(std::clamp(scaled, -127.0f, 127.0f)));
    };
    for (std::int64_t i = 0; i < dimensions; ++i) {
      key[i * kTileRows] = code(keys[i], key_scale);
      value[i / kTileRows * next_tile + i % kTileRows] = code(values[i], value_scale);
    }
    put_f16(base + scales_offset_ + slot * 2, key_scale);
    put_f16(base + scales_offset_ + (kPageTokens + slot) * 2, value_scale);
  }
}

}  // namespace stepdown::model
