#include "engine/quant/gguf_quantizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/free_space.h"
#include "engine/base/progress.h"
#include "engine/kernels/dequantize.h"
#include "engine/model/architecture.h"
#include "engine/quant/encoder.h"
#include "engine/quant/lanes/searches.h"
#include "engine/quant/preset.h"
#include "engine/quant/worker_pool.h"

namespace stepdown::quant {
namespace {

constexpr std::size_t kSlabBytes = 8 << 20;  // of output, encoded while the one before is written
constexpr float kLargestHalf = 65504.0f;
constexpr float kLargestFloat = std::numeric_limits<float>::max();
constexpr std::size_t kChunkElements = 64 * 1024;  // that one thread takes at a time

std::vector<const TensorView*> in_quantization_order(const formats::ModelFile& model) {
  std::vector<const TensorView*> order;
  for (const TensorView& tensor : model.tensors()) order.push_back(&tensor);
  std::ranges::sort(order,
                    [](const auto* left, const auto* right) { return quantization_order(*left, *right); });
  return order;
}

/// Vectors are stored as F32: GGUF's readers expect norms so.
DType vector_type(const TensorView& tensor) {
  const bool narrow = tensor.type == DType::kF16 || tensor.type == DType::kBF16;
  return narrow ? DType::kF32 : tensor.type;
}

/// Rows of one tensor, some MiB of output each.
struct Slab {
  const TensorPlan* plan = nullptr;
  std::size_t first_row = 0;
  std::size_t rows = 0;
};

std::size_t stored_row_bytes(const TensorView& tensor, DType type) {
  return row_bytes(type, static_cast<std::size_t>(tensor.columns())).value();
}

std::vector<Slab> cut(std::span<const TensorPlan> tensors) {
  std::vector<Slab> slabs;
  for (const TensorPlan& tensor : tensors) {
    const auto rows = static_cast<std::size_t>(tensor.source->rows());
    const std::size_t step =
        std::max<std::size_t>(1, kSlabBytes / stored_row_bytes(*tensor.source, tensor.type));
    for (std::size_t row = 0; row < rows; row += step)
      slabs.push_back({&tensor, row, std::min(step, rows - row)});
  }
  return slabs;
}

/// Whether a number whose bits these are is infinite or NaN somewhere in a row; of blocks nothing is known.
template <typename Bits>
bool holds_not_finite(std::span<const std::byte> row, Bits exponent) {
  Bits found = 0;
  for (std::size_t at = 0; at + sizeof(Bits) <= row.size(); at += sizeof(Bits)) {
    Bits bits = 0;
    std::memcpy(&bits, row.data() + at, sizeof bits);
    found |= static_cast<Bits>((bits & exponent) == exponent);
  }
  return found != 0;
}

bool copied_is_finite(DType type, std::span<const std::byte> row) {
  if (type == DType::kF32) return !holds_not_finite<std::uint32_t>(row, 0x7f800000u);
  if (type == DType::kF16) return !holds_not_finite<std::uint16_t>(row, 0x7c00u);
  return type != DType::kBF16 || !holds_not_finite<std::uint16_t>(row, 0x7f80u);
}

bool finite(std::span<const float> weights) {
  return std::ranges::all_of(weights, [](float x) { return std::isfinite(x); });
}

[[noreturn]] void refuse_row(const TensorView& tensor, std::size_t row, std::span<const std::byte> stored,
                             float most) {
  std::vector<float> weights(static_cast<std::size_t>(tensor.columns()));
  kernels::dequantize_row(tensor.type, stored, weights);
  const auto first = std::ranges::find_if_not(weights, [&](float x) { return std::fabs(x) <= most; });
  throw InputError("row " + std::to_string(row) + " holds weights that are not finite" +
                       (most > kLargestHalf ? "" : " or beyond ±65504") + ", the first in column " +
                       std::to_string(first - weights.begin()),
                   "tensor '" + tensor.name + "'", "the checkpoint is damaged; give a sound one");
}

void encode_rows(const TensorPlan& plan, std::span<const float> importance, std::size_t first,
                 std::size_t count, std::span<std::byte> out) {
  const TensorView& tensor = *plan.source;
  const std::size_t from = stored_row_bytes(tensor, tensor.type);
  const std::size_t to = stored_row_bytes(tensor, plan.type);
  std::vector<float> weights(static_cast<std::size_t>(tensor.columns()));
  for (std::size_t row = 0; row < count; ++row) {
    const auto stored = tensor.data.subspan((first + row) * from, from);
    if (plan.type == tensor.type) {
      if (!copied_is_finite(tensor.type, stored)) refuse_row(tensor, first + row, stored, kLargestFloat);
      std::ranges::copy(stored, out.subspan(row * to, to).begin());
      continue;
    }
    const bool halves = tensor.type == DType::kF16 && plan.type != DType::kF32;
    const bool sound = halves ? searches().widen_f16(stored, weights)
                              : (kernels::dequantize_row(tensor.type, stored, weights),
                                 plan.type == DType::kF32 ? finite(weights) : encodable(weights));
    if (!sound)
      refuse_row(tensor, first + row, stored, plan.type == DType::kF32 ? kLargestFloat : kLargestHalf);
    encode_row(plan.type, weights, importance_of_row(importance, tensor, first + row),
               out.subspan(row * to, to));
  }
}

/// Starts encoding `slab` into `out` on the pool.
void start(WorkerPool& pool, const formats::ModelFile& model, const formats::Imatrix& imatrix,
           const Slab& slab, std::vector<std::byte>& out) {
  if (slab.first_row == 0) model.prepare(*slab.plan->source);
  const std::size_t row = stored_row_bytes(*slab.plan->source, slab.plan->type);
  out.resize(slab.rows * row);
  const auto columns = static_cast<std::size_t>(slab.plan->source->columns());
  const std::size_t step = std::max<std::size_t>(1, kChunkElements / columns);
  const auto importance = importance_of(imatrix, *slab.plan->source);
  pool.start((slab.rows + step - 1) / step, [slab, row, step, importance, &out](std::size_t chunk) {
    const std::size_t first = chunk * step;
    const std::size_t count = std::min(step, slab.rows - first);
    encode_rows(*slab.plan, importance, slab.first_row + first, count,
                std::span(out).subspan(first * row, count * row));
  });
}

}  // namespace

std::span<const float> importance_of(const formats::Imatrix& imatrix, const TensorView& tensor) {
  const auto found = imatrix.columns.find(tensor.name);
  if (found == imatrix.columns.end()) return {};
  const std::int64_t experts = tensor.shape.size() > 2 ? tensor.shape.front() : 1;
  if (found->second.size() != static_cast<std::size_t>(experts * tensor.columns())) {
    throw InputError("has " + std::to_string(found->second.size()) + " values for " +
                         std::to_string(experts * tensor.columns()) + " columns of '" + tensor.name + "'",
                     "importance matrix", "give one that was computed on this model");
  }
  return found->second;
}

std::span<const float> importance_of_row(std::span<const float> importance, const TensorView& tensor,
                                         std::size_t row) {
  if (importance.empty() || tensor.shape.size() < 3) return importance;
  const auto columns = static_cast<std::size_t>(tensor.columns());
  const auto rows_each = static_cast<std::size_t>(tensor.rows() / tensor.shape.front());
  return importance.subspan(row / rows_each * columns, columns);
}

GgufPlan plan_preset(const formats::ModelFile& model, std::string_view preset_name, bool with_imatrix) {
  const Preset& preset = find_preset(preset_name);
  model::find_architecture(model.config());
  const auto order = in_quantization_order(model);
  std::vector<TensorView> views;
  for (const TensorView* tensor : order) views.push_back(*tensor);
  const std::vector<DType> types = choose_types(preset, model.config(), views, with_imatrix);
  GgufPlan plan;
  plan.file_type = preset.file_type;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const TensorView& tensor = *order[i];
    if (dtype_info(tensor.type).quantized) {
      throw InputError(
          "tensor '" + tensor.name + "' is " + std::string(dtype_info(tensor.type).name) + " already",
          "--model", "give the F16, BF16 or F32 model");
    }
    plan.tensors.push_back({&tensor, may_quantize(tensor) ? types[i] : vector_type(tensor)});
  }
  return plan;
}

GgufPlan plan_f16(const formats::ModelFile& model) {
  GgufPlan plan;
  plan.file_type = 1;
  for (const TensorView* tensor : in_quantization_order(model)) {
    plan.tensors.push_back({tensor, may_quantize(*tensor) ? DType::kF16 : vector_type(*tensor)});
  }
  return plan;
}

void require_space_for(const GgufPlan& plan, const std::filesystem::path& file) {
  std::uint64_t bytes = 0;
  for (const TensorPlan& tensor : plan.tensors)
    bytes += formats::GgufTensor{tensor.source->name, tensor.type, tensor.source->shape}.bytes();
  std::error_code absent;
  const std::uint64_t there = std::filesystem::file_size(file, absent);
  require_space(file.parent_path(), absent ? bytes : bytes - std::min(bytes, there));
}

WrittenGguf write_gguf(const formats::ModelFile& model, const GgufPlan& plan,
                       const std::filesystem::path& path, int threads, const std::string& label,
                       const formats::Imatrix& imatrix, formats::Existing existing) {
  formats::GgufMetadata metadata = model.gguf_metadata();
  metadata["general.file_type"] = formats::GgufValue::of(plan.file_type);
  metadata["general.quantization_version"] = formats::GgufValue::of(std::uint32_t{2});
  metadata.erase("general.alignment");  // what follows is laid out at the default
  if (!imatrix.columns.empty()) {
    metadata["quantize.imatrix.entries_count"] =
        formats::GgufValue::of(static_cast<std::uint32_t>(imatrix.columns.size()));
    metadata["quantize.imatrix.chunks_count"] = formats::GgufValue::of(imatrix.chunks);
    metadata["quantize.imatrix.dataset"] = formats::GgufValue::of_text(imatrix.dataset);
  }
  require_space_for(plan, path);
  WrittenGguf written;
  std::vector<formats::GgufTensor> tensors;
  for (const TensorPlan& tensor : plan.tensors) {
    tensors.push_back({tensor.source->name, tensor.type, tensor.source->shape});
    ++written.tensors[std::string(dtype_info(tensor.type).name)];
  }
  formats::GgufWriter writer(path, metadata, std::move(tensors), existing);
  Progress progress(label, plan.tensors.size(), " tensors");
  progress.skip(writer.whole_tensors());
  std::array<std::vector<std::byte>, 2> buffers;  // before the pool: its threads write into them to the end
  WorkerPool pool(threads);
  const std::vector<Slab> slabs = cut(std::span(plan.tensors).subspan(writer.whole_tensors()));
  if (!slabs.empty()) start(pool, model, imatrix, slabs[0], buffers[0]);
  for (std::size_t i = 0; i < slabs.size(); ++i) {
    pool.wait();
    const bool last_of_tensor = i + 1 == slabs.size() || slabs[i + 1].plan != slabs[i].plan;
    if (last_of_tensor) model.release(*slabs[i].plan->source);  // before the next one's pages come
    if (i + 1 < slabs.size()) start(pool, model, imatrix, slabs[i + 1], buffers[(i + 1) % 2]);
    writer.write(buffers[i % 2]);
    if (!last_of_tensor) continue;
    progress.note(slabs[i].plan->source->name);
    progress.advance();
  }
  written.digest = writer.finish();
  written.size = std::filesystem::file_size(path);
  return written;
}

}  // namespace stepdown::quant
