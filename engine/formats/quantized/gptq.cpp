#include "engine/formats/quantized/gptq.h"

#include <algorithm>
#include <set>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/formats/quantized/bit_stream.h"

namespace stepdown::formats {
namespace {

using Words = std::vector<std::uint32_t>;

/// Codes of one column of `stride` words, packed downwards.
Words column_of(const Words& packed, std::size_t column, std::size_t stride) {
  Words words(packed.size() / stride);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = packed[i * stride + column];
  return words;
}

std::vector<std::uint16_t> transposed_halves(const AffineMatrix& matrix) {
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const auto groups = static_cast<std::size_t>(matrix.groups());
  std::vector<std::uint16_t> halves(rows * groups);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t g = 0; g < groups; ++g)
      halves[g * rows + row] = f32_to_f16(matrix.scales[row * groups + g]);
  }
  return halves;
}

struct Settings {
  int bits;
  std::int64_t group_size;  ///< −1: one group a row
  bool symmetric;
  GptqVersion version;
};

Settings settings_of(const JsonView& config) {
  const JsonView bits = config.required("bits");
  static const std::set<std::int64_t> kBits = {2, 3, 4, 8};
  if (!kBits.contains(bits.length())) bits.fail("is not supported", "supported are 2, 3, 4 and 8");
  return {static_cast<int>(bits.length()), static_cast<std::int64_t>(config.number("group_size", -1)),
          config.boolean("sym", true),
          config.text("checkpoint_format", "gptq") == "gptq_v2" ? GptqVersion::kV2 : GptqVersion::kV1};
}

void read_zeros(const Words& packed, const Settings& settings, AffineMatrix& matrix) {
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const auto groups = static_cast<std::size_t>(matrix.groups());
  const std::size_t width = packed.size() / groups;
  matrix.zeros.resize(rows * groups);
  bool stored_as_they_are = true;  // some checkpoints say version 1 and store the symmetric zero itself
  for (std::size_t g = 0; g < groups; ++g) {
    const auto words = std::span(packed).subspan(g * width, width);
    for (std::size_t row = 0; row < rows; ++row) {
      const auto zero = static_cast<std::int16_t>(get_code(words, row, settings.bits));
      matrix.zeros[row * groups + g] = zero;
      stored_as_they_are = stored_as_they_are && zero == 1 << (settings.bits - 1);
    }
  }
  if (settings.version == GptqVersion::kV2 || (settings.symmetric && stored_as_they_are)) return;
  for (std::int16_t& zero : matrix.zeros) ++zero;
}

AffineMatrix read_gptq(const ModuleReader& module, const Settings& settings, std::int64_t rows,
                       std::int64_t columns) {
  AffineMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  matrix.bits = settings.bits;
  matrix.group_size = settings.group_size > 0 ? std::min(settings.group_size, columns) : columns;
  if (columns * settings.bits % 32 != 0 || rows * settings.bits % 32 != 0) {
    module.fail("its rows or columns do not fill whole words");
  }
  const std::int64_t groups = matrix.groups();
  const auto packed =
      module.values<std::uint32_t>("qweight", DType::kI32, {columns * settings.bits / 32, rows});
  const auto zeros = module.values<std::uint32_t>("qzeros", DType::kI32, {groups, rows * settings.bits / 32});
  const auto scales = module.floats("scales", groups * rows);
  const auto out = static_cast<std::size_t>(rows);
  const auto in = static_cast<std::size_t>(columns);
  matrix.codes.resize(out * in);
  for (std::size_t row = 0; row < out; ++row) {
    const Words words = column_of(packed, row, out);
    for (std::size_t i = 0; i < in; ++i) {
      matrix.codes[row * in + i] = static_cast<std::uint8_t>(get_code(words, i, settings.bits));
    }
  }
  read_zeros(zeros, settings, matrix);
  matrix.scales.resize(scales.size());
  for (std::size_t row = 0; row < out; ++row) {
    for (std::size_t g = 0; g < static_cast<std::size_t>(groups); ++g) {
      matrix.scales[row * static_cast<std::size_t>(groups) + g] = scales[g * out + row];
    }
  }
  if (!module.has("g_idx")) return matrix;
  auto group_of = module.values<std::int32_t>("g_idx", DType::kI32, {columns});
  bool in_order = true;
  for (std::size_t i = 0; i < in; ++i) {
    if (group_of[i] < 0 || group_of[i] >= groups) module.fail("'g_idx' names a group that does not exist");
    in_order = in_order && group_of[i] == static_cast<std::int64_t>(i) / matrix.group_size;
  }
  if (!in_order) matrix.group_of = std::move(group_of);
  return matrix;
}

}  // namespace

std::vector<NamedTensor> pack_gptq(const AffineMatrix& matrix, GptqVersion version) {
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const auto columns = static_cast<std::size_t>(matrix.columns);
  const auto groups = static_cast<std::size_t>(matrix.groups());
  const auto bits = static_cast<std::size_t>(matrix.bits);
  if (columns * bits % 32 != 0 || rows * bits % 32 != 0) {
    throw InputError("a matrix of " + std::to_string(rows) + " × " + std::to_string(columns) +
                         " does not fill whole words at " + std::to_string(bits) + " bits",
                     "GPTQ layout", "choose 4 or 8 bits");
  }
  Words qweight(columns * bits / 32 * rows);
  for (std::size_t row = 0; row < rows; ++row) {
    Words words(columns * bits / 32);
    for (std::size_t i = 0; i < columns; ++i)
      put_code(words, i, matrix.bits, matrix.codes[row * columns + i]);
    for (std::size_t i = 0; i < words.size(); ++i) qweight[i * rows + row] = words[i];
  }
  const int offset = version == GptqVersion::kV1 ? 1 : 0;
  const std::size_t width = rows * bits / 32;
  Words qzeros(groups * width);
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t row = 0; row < rows; ++row) {
      const int stored = matrix.zeros[row * groups + g] - offset;
      if (stored < 0 || stored >= 1 << bits) {
        throw InputError("a zero of " + std::to_string(stored + offset), "GPTQ layout",
                         "write version 2: --checkpoint-format gptq_v2");
      }
      put_code(std::span(qzeros).subspan(g * width, width), row, matrix.bits,
               static_cast<std::uint32_t>(stored));
    }
  }
  std::vector<std::int32_t> group_of(columns);
  for (std::size_t i = 0; i < columns; ++i) {
    group_of[i] = static_cast<std::int32_t>(matrix.group(static_cast<std::int64_t>(i)));
  }
  const auto halves = transposed_halves(matrix);
  const auto height = static_cast<std::int64_t>(columns * bits / 32);
  const std::int64_t group_count = matrix.groups();
  return {named_tensor<std::int32_t>("g_idx", DType::kI32, {matrix.columns}, group_of),
          named_tensor<std::uint32_t>("qweight", DType::kI32, {height, matrix.rows}, qweight),
          named_tensor<std::uint32_t>("qzeros", DType::kI32, {group_count, static_cast<std::int64_t>(width)},
                                      qzeros),
          named_tensor<std::uint16_t>("scales", DType::kF16, {group_count, matrix.rows}, halves)};
}

ReadWeight gptq_reader(const JsonView& config) {
  const Settings settings = settings_of(config);
  return [settings](const ModuleReader& module, std::int64_t rows, std::int64_t columns, DType plain) {
    return dense_form(read_gptq(module, settings, rows, columns), plain);
  };
}

}  // namespace stepdown::formats
