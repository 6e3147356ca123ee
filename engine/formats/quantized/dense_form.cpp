#include "engine/formats/quantized/dense_form.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "engine/base/half.h"

namespace stepdown::formats {
namespace {

constexpr std::int64_t kBlock = 32;

/// Codes of one block as signed differences from their zero, → the stored bytes behind the scale.
using PackBlock = void (*)(std::span<const int, 32> differences, std::byte* out);

void pack_nibbles(std::span<const int, 32> differences, int offset, std::byte* out) {
  for (std::size_t i = 0; i < 16; ++i) {
    const int low = (differences[i] + offset) & 15;
    const int high = (differences[i + 16] + offset) & 15;
    out[i] = static_cast<std::byte>(low | high << 4);
  }
}

void pack_q4_0(std::span<const int, 32> differences, std::byte* out) {
  pack_nibbles(differences, 8, out);
}

void pack_q5_0(std::span<const int, 32> differences, std::byte* out) {
  std::uint32_t high = 0;
  for (std::size_t i = 0; i < 32; ++i) high |= static_cast<std::uint32_t>((differences[i] + 16) >> 4) << i;
  std::memcpy(out, &high, sizeof(high));
  pack_nibbles(differences, 16, out + sizeof(high));
}

void pack_q8_0(std::span<const int, 32> differences, std::byte* out) {
  for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<std::byte>(differences[i]);
}

struct BlockForm {
  DType type;
  int lowest, highest;
  PackBlock pack;
};
constexpr std::array kForms = {
    BlockForm{DType::kQ4_0, -8, 7, pack_q4_0},
    BlockForm{DType::kQ5_0, -16, 15, pack_q5_0},
    BlockForm{DType::kQ8_0, -128, 127, pack_q8_0},
};

/// 32 columns of a row, which lie in one group.
struct Block {
  std::span<const std::uint8_t, kBlock> codes;
  int zero;
  float scale;
};

/// In the order that they are stored in, where groups_are_blocks().
template <class Look>
void each_block(const AffineMatrix& matrix, Look look) {
  const std::int64_t groups = matrix.groups();
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (std::int64_t column = 0; column < matrix.columns; column += kBlock) {
      const auto group = static_cast<std::size_t>(row * groups + matrix.group(column));
      const std::uint8_t* codes = matrix.codes.data() + row * matrix.columns + column;
      look(Block{std::span<const std::uint8_t, kBlock>(codes, kBlock), matrix.zeros[group],
                 matrix.scales[group]});
    }
  }
}

bool is_binary16(float value) {
  return f16_to_f32(f32_to_f16(value)) == value;
}

/// Whether every block of 32 columns lies in one group.
bool groups_are_blocks(const AffineMatrix& matrix) {
  if (matrix.columns % kBlock != 0) return false;
  if (matrix.group_of.empty()) return matrix.group_size % kBlock == 0 || matrix.groups() == 1;
  for (std::int64_t i = 0; i < matrix.columns; ++i) {
    if (matrix.group(i) != matrix.group(i - i % kBlock)) return false;
  }
  return true;
}

std::optional<BlockForm> block_form(const AffineMatrix& matrix) {
  if (!groups_are_blocks(matrix) || !std::ranges::all_of(matrix.scales, is_binary16)) return std::nullopt;
  int lowest = 0;
  int highest = 0;
  each_block(matrix, [&](const Block& block) {
    std::uint8_t low = 255, high = 0;
    for (const std::uint8_t code : block.codes) {
      low = std::min(low, code);
      high = std::max(high, code);
    }
    lowest = std::min(lowest, low - block.zero);
    highest = std::max(highest, high - block.zero);
  });
  const auto* form = std::ranges::find_if(
      kForms, [&](const BlockForm& each) { return lowest >= each.lowest && highest <= each.highest; });
  return form == kForms.end() ? std::nullopt : std::optional(*form);
}

std::vector<std::byte> pack(const AffineMatrix& matrix, const BlockForm& form) {
  const std::size_t size = dtype_info(form.type).block_bytes;
  std::vector<std::byte> bytes(static_cast<std::size_t>(matrix.rows * matrix.columns / kBlock) * size);
  std::byte* out = bytes.data();
  each_block(matrix, [&](const Block& block) {
    const std::uint16_t scale = f32_to_f16(block.scale);
    std::memcpy(out, &scale, sizeof(scale));
    std::array<int, kBlock> differences;
    for (std::size_t i = 0; i < kBlock; ++i) differences[i] = block.codes[i] - block.zero;
    form.pack(differences, out + sizeof(scale));
    out += size;
  });
  return bytes;
}

}  // namespace

DenseForm dense_form(const AffineMatrix& matrix, DType plain) {
  if (const auto form = block_form(matrix)) return {form->type, pack(matrix, *form)};
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(matrix.rows * matrix.columns));
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (std::int64_t column = 0; column < matrix.columns; ++column)
      values.push_back(matrix.value(row, column));
  }
  return dense_form(values, plain);
}

DenseForm dense_form(std::span<const float> values, DType plain) {
  if (plain == DType::kF32) {
    const auto bytes = std::as_bytes(values);
    return {plain, {bytes.begin(), bytes.end()}};
  }
  std::vector<std::byte> bytes(values.size() * sizeof(std::uint16_t));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = plain == DType::kF16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
    std::memcpy(bytes.data() + i * sizeof(bits), &bits, sizeof(bits));
  }
  return {plain, std::move(bytes)};
}

}  // namespace stepdown::formats
