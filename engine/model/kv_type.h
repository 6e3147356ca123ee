#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace stepdown::model {

/// How keys and values are kept: binary16, or int8, FP8 E4M3 or four bits with a binary16 scale per
/// token and head.
enum class KvType { kF16, kInt8, kFp8, kInt4 };

/// Whether what is kept are heads that were rotated (rotation.h), as queries then are and sums of values are
/// rotated back. Codes err by a share of the largest, integers most, so that a head's dimensions should be of
/// one size.
constexpr bool holds_rotated(KvType type) {
  return type != KvType::kF16;
}

/// "f16", "int8", "fp8", "int4".
std::string_view kv_type_name(KvType type);
std::optional<KvType> kv_type_of(std::string_view name);
/// "f16|int8|fp8|int4", for messages.
inline constexpr const char* kKvTypeNames = "f16|int8|fp8|int4";

/// One type a layer: `type`, but binary16 where listed. Throws InputError for a layer that the model has not.
std::vector<KvType> kv_types(KvType type, std::int64_t layers, std::span<const std::int64_t> f16_layers);

}  // namespace stepdown::model
