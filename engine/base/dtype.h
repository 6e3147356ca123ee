#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace stepdown {

/// Element types of stored tensors. Values below 100 are ggml's own type numbers (GGUF spec, `ggml_type`).
enum class DType : std::uint8_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kI8 = 24,
  kI32 = 26,
  kI64 = 27,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  // Known to safetensors alone.
  kU8 = 100,
  kF8_E4M3 = 101,
  kBool = 102,
};

struct DTypeInfo {
  DType type;
  std::string_view name;         ///< ggml's or safetensors' own spelling, e.g. "Q4_K", "F16"
  std::uint32_t block_elements;  ///< elements that share one block; 1 for plain types
  std::uint32_t block_bytes;     ///< bytes of one block
  bool quantized;
};

/// Every known type.
std::span<const DTypeInfo> dtypes();
const DTypeInfo& dtype_info(DType type);
std::optional<DType> dtype_from_ggml(std::uint32_t ggml_type);
std::optional<DType> dtype_from_name(std::string_view name);

/// Bytes of one row of `elements`; nullopt when they do not fill whole blocks or overflow.
std::optional<std::size_t> row_bytes(DType type, std::size_t elements);

}  // namespace stepdown
