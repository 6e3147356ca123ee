#include "engine/kernels/cuda/device_weights.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/kernels/dequantize.h"
#include "engine/kernels/unpack_block.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::size_t kWordBytes = 4;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool is_plain(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

int format_for(const TensorView& tensor) {
  if (is_plain(tensor.type)) return 0;
  const auto packing = packing_index(tensor.type);
  if (!packing) {
    throw InputError("no CUDA kernel multiplies weights of type " + std::string(dtype_info(tensor.type).name),
                     "tensor " + tensor.name,
                     "serve it with --device cpu, or quantize the model to Q4_K_M or Q8_0");
  }
  return format_index(format_of(kPackings[*packing]));
}

/// Byte offset of word `word` of a lane within a plane of `words` words a lane.
std::size_t word_offset(int words, int lane, int word) {
  const int wide = std::min(words, 4);
  return static_cast<std::size_t>((word / wide * kLanes + lane) * wide + word % wide) * kWordBytes;
}

void put_bits(std::byte* plane, int words, int lane, Field field, std::uint32_t bits) {
  std::byte* at = plane + word_offset(words, lane, field.word);
  std::uint32_t word = 0;
  std::memcpy(&word, at, sizeof word);
  word |= bits << field.bit;
  std::memcpy(at, &word, sizeof word);
}

/// Writes one tile of 16 rows; `out` is the whole matrix.
class TileWriter {
 public:
  TileWriter(const WeightLayout& layout, std::span<std::byte> out, int tile)
      : format_(kWeightFormats[static_cast<std::size_t>(layout.format)]),
        shape_(matrix_at(layout, out.data())) {
    const auto units = static_cast<std::size_t>(tile) * static_cast<std::size_t>(shape_.units());
    codes_ = out.data() + units * static_cast<std::size_t>(format_.unit_code_bytes());
    scales_ = out.data() + layout.scales + units * static_cast<std::size_t>(format_.unit_scale_bytes());
    supers_ = out.data() + layout.supers +
              static_cast<std::size_t>(tile) * static_cast<std::size_t>(shape_.supers_per_tile()) *
                  static_cast<std::size_t>(format_.super_bytes());
  }

  /// A code, or binary16 bits of a plain element.
  void put_code(int row, std::int64_t column, std::uint32_t code) const {
    const auto [lane, step, pair, half] = place_of(row, static_cast<int>(column % kUnitColumns));
    std::byte* low = codes_ + column / kUnitColumns * format_.unit_code_bytes();
    const int bits = format_.low_bits();
    put_bits(low, format_.low_words(), lane, low_field(bits, step, pair, half), code & ((1u << bits) - 1u));
    if (format_.high_bits() == 0) return;
    std::byte* high = low + static_cast<std::size_t>(format_.low_words()) * kLanes * kWordBytes;
    put_bits(high, format_.high_words(), lane, high_field(format_.high_bits(), step, pair, half),
             code >> bits);
  }

  /// Scale and minimum of the group that begins at `column`: binary16 bits, or multiples of the super's.
  template <class T>
  void put_scale(int row, std::int64_t column, T scale, T minimum) const {
    const auto pair = column % kUnitColumns / format_.group * 8 + row % 8;
    std::byte* at = scales_ + column / kUnitColumns * format_.unit_scale_bytes() +
                    pair * format_.pair_bytes() + row / 8 * static_cast<int>(sizeof(T));
    std::memcpy(at, &scale, sizeof(T));
    if (format_.minima) std::memcpy(at + 2 * sizeof(T), &minimum, sizeof(T));
  }

  void put_super(int row, std::int64_t column, std::uint16_t scale, std::uint16_t minimum) const {
    std::byte* at = supers_ + column / kSuperBlock * format_.super_bytes() +
                    row % 8 * (format_.minima ? 8 : 4) + row / 8 * 2;
    std::memcpy(at, &scale, sizeof scale);
    if (format_.minima) std::memcpy(at + 4, &minimum, sizeof minimum);
  }

  const WeightFormat& format() const { return format_; }

 private:
  WeightFormat format_;
  DeviceMatrix shape_;
  std::byte* codes_;
  std::byte* scales_;
  std::byte* supers_;
};

void repack_codes(const TensorView& tensor, std::span<const std::byte> stored, int row,
                  const TileWriter& writer) {
  const auto packing = *packing_index(tensor.type);
  const UnpackBlock unpack = unpack_block(packing);
  const DTypeInfo& info = dtype_info(tensor.type);
  const int group = writer.format().group;
  UnpackedBlock block;
  for (std::int64_t column = 0; column < tensor.columns(); column += info.block_elements) {
    unpack(stored.data() + static_cast<std::size_t>(column / info.block_elements) * info.block_bytes, block);
    for (std::int64_t i = 0; i < info.block_elements; ++i)
      writer.put_code(row, column + i, block.codes[static_cast<std::size_t>(i)]);
    if (!writer.format().two_level) {
      writer.put_scale(row, column, block.scale, block.minimum);
      continue;
    }
    writer.put_super(row, column, block.scale, block.minimum);
    for (std::size_t i = 0; i < static_cast<std::size_t>(info.block_elements / group); ++i)
      writer.put_scale(row, column + static_cast<std::int64_t>(i) * group, block.scales[i], block.minima[i]);
  }
}

/// False when an element is finite but beyond binary16.
bool repack_plain(const TensorView& tensor, std::span<const std::byte> stored, int row,
                  const TileWriter& writer, std::vector<float>& values) {
  values.resize(static_cast<std::size_t>(tensor.columns()));
  dequantize_row(tensor.type, stored, values);
  bool fits = true;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = f32_to_f16(values[i]);
    fits = fits && (std::isfinite(f16_to_f32(bits)) || !std::isfinite(values[i]));
    writer.put_code(row, static_cast<std::int64_t>(i), bits);
  }
  return fits;
}

}  // namespace

bool joinable(std::span<const TensorView> tensors) {
  return std::ranges::all_of(tensors, [&](const TensorView& tensor) {
    return tensor.columns() == tensors.front().columns() && format_for(tensor) == format_for(tensors.front());
  });
}

WeightLayout layout_of(std::span<const TensorView> tensors) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() / 2;
  std::int64_t rows = 0;
  for (const TensorView& tensor : tensors) {
    const auto bytes = row_bytes(tensor.type, static_cast<std::size_t>(tensor.columns()));
    if (tensor.shape.size() != 2 || tensor.rows() <= 0 || !bytes ||
        tensor.data.size() != *bytes * static_cast<std::size_t>(tensor.rows())) {
      throw InputError("a weight matrix has a shape that its bytes do not fill", "tensor " + tensor.name,
                       "convert the model again");
    }
    rows += tensor.rows();
    if (rows > kMost || tensor.columns() > kMost)
      throw InputError("a weight matrix is too large", "tensor " + tensor.name, "serve it with --device cpu");
  }
  if (!joinable(tensors))
    throw Error("matrices of different types cannot be one", "tensor " + tensors.front().name);
  WeightLayout layout{format_for(tensors.front()),
                      static_cast<std::int32_t>(rows),
                      static_cast<std::int32_t>(tensors.front().columns()),
                      0,
                      0,
                      0};
  const WeightFormat& format = kWeightFormats[static_cast<std::size_t>(layout.format)];
  const DeviceMatrix shape = matrix_at(layout, nullptr);
  const auto tiles = static_cast<std::size_t>(shape.tiles());
  const std::size_t units = tiles * static_cast<std::size_t>(shape.units());
  layout.scales = aligned(units * static_cast<std::size_t>(format.unit_code_bytes()));
  layout.supers = layout.scales + aligned(units * static_cast<std::size_t>(format.unit_scale_bytes()));
  layout.bytes = layout.supers + aligned(tiles * static_cast<std::size_t>(shape.supers_per_tile()) *
                                         static_cast<std::size_t>(format.super_bytes()));
  return layout;
}

void repack(std::span<const TensorView> tensors, const WeightLayout& layout, std::span<std::byte> out,
            ThreadPool& pool) {
  if (out.size() < layout.bytes)
    throw Error("too little memory for the repacked matrix", "tensor " + tensors.front().name);
  const std::int64_t tiles = (layout.rows + kTileHeight - 1) / kTileHeight;
  std::atomic<bool> fits{true};
  pool.each(tiles, [&](std::int64_t tile, int /*worker*/) {
    const TileWriter writer(layout, out, static_cast<int>(tile));
    std::vector<float> values;
    for (int row = 0; row < kTileHeight; ++row) {
      std::int64_t at = tile * kTileHeight + row;
      const auto* tensor = tensors.data();
      for (; tensor != tensors.data() + tensors.size() && at >= tensor->rows(); ++tensor)
        at -= tensor->rows();
      if (tensor == tensors.data() + tensors.size()) return;
      const std::size_t bytes = tensor->data.size() / static_cast<std::size_t>(tensor->rows());
      const auto stored = tensor->data.subspan(static_cast<std::size_t>(at) * bytes, bytes);
      if (!is_plain(tensor->type)) {
        repack_codes(*tensor, stored, row, writer);
      } else if (!repack_plain(*tensor, stored, row, writer, values)) {
        fits = false;
      }
    }
  });
  if (!fits) {
    throw InputError("holds an element beyond binary16's largest, 65504, which is what CUDA kernels multiply",
                     "tensor " + tensors.front().name, "serve it with --device cpu");
  }
}

DeviceMatrix matrix_at(const WeightLayout& layout, const std::byte* memory) {
  return {memory,
          memory == nullptr ? nullptr : memory + layout.scales,
          memory == nullptr ? nullptr : memory + layout.supers,
          layout.format,
          layout.rows,
          layout.columns};
}

}  // namespace stepdown::kernels::cuda
