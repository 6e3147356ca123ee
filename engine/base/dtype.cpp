#include "engine/base/dtype.h"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

namespace stepdown {
namespace {

// Block sizes: ggml-common.h of the GGUF reference implementation.
constexpr std::array kTypes = {
    DTypeInfo{DType::kF32, "F32", 1, 4, false},
    DTypeInfo{DType::kF16, "F16", 1, 2, false},
    DTypeInfo{DType::kBF16, "BF16", 1, 2, false},
    DTypeInfo{DType::kQ4_0, "Q4_0", 32, 18, true},
    DTypeInfo{DType::kQ4_1, "Q4_1", 32, 20, true},
    DTypeInfo{DType::kQ5_0, "Q5_0", 32, 22, true},
    DTypeInfo{DType::kQ5_1, "Q5_1", 32, 24, true},
    DTypeInfo{DType::kQ8_0, "Q8_0", 32, 34, true},
    DTypeInfo{DType::kQ2_K, "Q2_K", 256, 84, true},
    DTypeInfo{DType::kQ3_K, "Q3_K", 256, 110, true},
    DTypeInfo{DType::kQ4_K, "Q4_K", 256, 144, true},
    DTypeInfo{DType::kQ5_K, "Q5_K", 256, 176, true},
    DTypeInfo{DType::kQ6_K, "Q6_K", 256, 210, true},
    DTypeInfo{DType::kIQ4_NL, "IQ4_NL", 32, 18, true},
    DTypeInfo{DType::kIQ4_XS, "IQ4_XS", 256, 136, true},
    DTypeInfo{DType::kTQ1_0, "TQ1_0", 256, 54, true},
    DTypeInfo{DType::kTQ2_0, "TQ2_0", 256, 66, true},
    DTypeInfo{DType::kMXFP4, "MXFP4", 32, 17, true},
    DTypeInfo{DType::kI8, "I8", 1, 1, false},
    DTypeInfo{DType::kI32, "I32", 1, 4, false},
    DTypeInfo{DType::kI64, "I64", 1, 8, false},
    DTypeInfo{DType::kU8, "U8", 1, 1, false},
    DTypeInfo{DType::kF8_E4M3, "F8_E4M3", 1, 1, false},
    DTypeInfo{DType::kBool, "BOOL", 1, 1, false},
};

}  // namespace

std::span<const DTypeInfo> dtypes() {
  return kTypes;
}

const DTypeInfo& dtype_info(DType type) {
  const auto* row = std::ranges::find(kTypes, type, &DTypeInfo::type);
  if (row == kTypes.end()) throw std::logic_error("DType without a row in the table");
  return *row;
}

std::optional<DType> dtype_from_ggml(std::uint32_t ggml_type) {
  if (ggml_type >= 100) return std::nullopt;
  const auto* row = std::ranges::find(kTypes, static_cast<DType>(ggml_type), &DTypeInfo::type);
  return row == kTypes.end() ? std::nullopt : std::optional(row->type);
}

std::optional<DType> dtype_from_name(std::string_view name) {
  const auto* row = std::ranges::find(kTypes, name, &DTypeInfo::name);
  return row == kTypes.end() ? std::nullopt : std::optional(row->type);
}

std::optional<std::size_t> row_bytes(DType type, std::size_t elements) {
  const DTypeInfo& info = dtype_info(type);
  if (elements % info.block_elements != 0) return std::nullopt;
  const std::size_t blocks = elements / info.block_elements;
  if (blocks > std::numeric_limits<std::size_t>::max() / info.block_bytes) return std::nullopt;
  return blocks * info.block_bytes;
}

}  // namespace stepdown
