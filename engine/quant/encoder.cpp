#include "engine/quant/encoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/quant/encode_blocks.h"

namespace stepdown::quant {
namespace {

constexpr float kLargest = 65504.0f;  // of binary16

using Encoder = void (*)(std::span<const float> weights, std::span<const float> importance, std::byte* out);

void copy_f32(std::span<const float> weights, std::span<const float> /*importance*/, std::byte* out) {
  std::memcpy(out, weights.data(), weights.size_bytes());
}

template <std::uint16_t (*Narrow)(float)>
void narrow(std::span<const float> weights, std::span<const float> /*importance*/, std::byte* out) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::uint16_t bits = Narrow(weights[i]);
    std::memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
  }
}

template <typename Block, std::size_t Elements>
void encode(std::span<const float> weights, std::span<const float> importance, std::byte* out) {
  Importance counts;
  if (!importance.empty())
    counts.row_mean_square = sum_of_squares(weights) / static_cast<float>(weights.size());
  std::array<Block, kTogether<Block>> blocks;
  for (std::size_t at = 0; at < weights.size(); at += blocks.size() * Elements) {
    const auto part = weights.subspan(at, std::min(weights.size() - at, blocks.size() * Elements));
    const auto done = std::span(blocks).first(part.size() / Elements);
    if (!importance.empty()) counts.columns = importance.subspan(at, part.size());
    if constexpr (requires { encode_block(part.template first<Elements>(), counts, done[0]); }) {
      encode_block(part.template first<Elements>(), counts, done[0]);
    } else {
      encode_blocks(part, counts, done);
    }
    std::memcpy(out + at / Elements * sizeof(Block), done.data(), done.size_bytes());
  }
}

struct Row {
  DType type;
  Encoder encode;
};

constexpr std::array kEncoders = {
    Row{DType::kF32, copy_f32},
    Row{DType::kF16, narrow<f32_to_f16>},
    Row{DType::kBF16, narrow<f32_to_bf16>},
    Row{DType::kQ4_0, encode<kernels::BlockQ4_0, 32>},
    Row{DType::kQ4_1, encode<kernels::BlockQ4_1, 32>},
    Row{DType::kQ5_0, encode<kernels::BlockQ5_0, 32>},
    Row{DType::kQ5_1, encode<kernels::BlockQ5_1, 32>},
    Row{DType::kQ8_0, encode<kernels::BlockQ8_0, 32>},
    Row{DType::kQ2_K, encode<kernels::BlockQ2_K, 256>},
    Row{DType::kQ3_K, encode<kernels::BlockQ3_K, 256>},
    Row{DType::kQ4_K, encode<kernels::BlockQ4_K, 256>},
    Row{DType::kQ5_K, encode<kernels::BlockQ5_K, 256>},
    Row{DType::kQ6_K, encode<kernels::BlockQ6_K, 256>},
    Row{DType::kIQ4_NL, encode<kernels::BlockIQ4_NL, 32>},
    Row{DType::kIQ4_XS, encode<kernels::BlockIQ4_XS, 256>},
};

}  // namespace

bool can_encode(DType type) {
  return std::ranges::find(kEncoders, type, &Row::type) != kEncoders.end();
}

void encode_row(DType type, std::span<const float> weights, std::span<const float> importance,
                std::span<std::byte> out) {
  const auto* row = std::ranges::find(kEncoders, type, &Row::type);
  if (row == kEncoders.end()) throw Error("no encoder for type " + std::string(dtype_info(type).name));
  if (row_bytes(type, weights.size()) != out.size()) {
    throw Error("a row of " + std::to_string(weights.size()) + " weights does not fill " +
                std::to_string(out.size()) + " bytes of " + std::string(dtype_info(type).name));
  }
  if (!importance.empty() && importance.size() != weights.size()) {
    throw Error("importance of " + std::to_string(importance.size()) + " columns does not fit a row of " +
                std::to_string(weights.size()));
  }
  row->encode(weights, importance, out.data());
}

bool encodable(std::span<const float> weights) {
  // Written so that NaN counts as too large.
  return std::ranges::all_of(weights, [](float x) { return std::fabs(x) <= kLargest; });
}

}  // namespace stepdown::quant
