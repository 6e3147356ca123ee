// How a decoder block comes from its file.
#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/formats/hf_architecture.h"
#include "engine/kernels/dequantize.h"
#include "engine/model/rope.h"
#include "engine/quant/calibration/decoder_block.h"

namespace stepdown::quant {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kExpert = "{e}";
constexpr std::string_view kRouter = "ffn_gate_inp.weight";

/// Undoes formats::permute_rope_rows: rows of each head from [half][2] back to [2][half].
Matrix in_hf_order(const Matrix& permuted, std::int64_t heads) {
  Matrix result(permuted.rows, permuted.columns);
  const std::int64_t head_rows = permuted.rows / heads;
  for (std::int64_t row = 0; row < permuted.rows; ++row) {
    const std::int64_t in_head = row % head_rows;
    const std::int64_t target = row - in_head + in_head % 2 * (head_rows / 2) + in_head / 2;
    std::ranges::copy(permuted.row_span(row), result.row(target));
  }
  return result;
}

const TensorView& tensor_of(const formats::ModelFile& model, const std::string& name) {
  const TensorView* tensor = model.find(name);
  if (tensor == nullptr)
    throw InputError("a tensor is missing", "tensor '" + name + "'", "give the complete model");
  return *tensor;
}

}  // namespace

Stage stage_of(std::string_view gguf) {
  if (gguf.starts_with("attn_output")) return Stage::kAttentionOutput;
  if (gguf.starts_with("attn_")) return Stage::kAttentionInput;
  return gguf.starts_with("ffn_down") ? Stage::kFeedForwardOutput : Stage::kFeedForwardInput;
}

float as_stored(float value, bool plus_one) {
  if (!plus_one) return f16_to_f32(f32_to_f16(value));
  return f16_to_f32(f32_to_f16(value - 1.0f)) + 1.0f;
}

void BlockTensor::round() {
  for (float& x : values) x = as_stored(x, plus_one);
}

Matrix load_matrix(const formats::ModelFile& model, const std::string& name) {
  return load_rows(model, name, 0, tensor_of(model, name).rows());
}

Matrix load_rows(const formats::ModelFile& model, const std::string& name, std::int64_t first,
                 std::int64_t count) {
  const TensorView& tensor = tensor_of(model, name);
  Matrix matrix(count, tensor.columns());
  const std::size_t bytes = tensor.data.size() / static_cast<std::size_t>(tensor.rows());
  TensorView slice = tensor;
  slice.shape = {matrix.rows, matrix.columns};
  slice.data =
      tensor.data.subspan(static_cast<std::size_t>(first) * bytes, static_cast<std::size_t>(count) * bytes);
  model.prepare(slice);
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    kernels::dequantize_row(slice.type, slice.data.subspan(static_cast<std::size_t>(row) * bytes, bytes),
                            matrix.row_span(row));
  }
  model.release(slice);
  const auto bad = std::ranges::find_if_not(matrix.values, [](float x) { return std::isfinite(x); });
  if (bad != matrix.values.end()) {
    const std::int64_t at = first * matrix.columns + (bad - matrix.values.begin());
    throw InputError("row " + std::to_string(at / matrix.columns) +
                         " holds weights that are not finite, the first in column " +
                         std::to_string(at % matrix.columns),
                     "tensor '" + name + "'", "the checkpoint is damaged; give a sound one");
  }
  return matrix;
}

DecoderBlock::DecoderBlock(const formats::ModelFile& model, std::int64_t index, std::int64_t context)
    : index_(index),
      config_(model.config()),
      architecture_(model::find_architecture(config_)),
      rule_(model::layer_rule(architecture_, config_, index)) {
  const formats::HfArchitecture& stored = formats::hf_architecture(config_);
  for (const formats::HfLayerTensor& row : stored.layer) {
    if (row.columns == nullptr && !row.gguf.ends_with(".bias")) {
      load_other(model, row.hf, row.gguf, stored.norms_from_one);
    } else if (row.gguf == kRouter) {
      load_other(model, row.hf, row.gguf, false);
    } else if (row.columns != nullptr) {
      load_linear(model, row.hf, row.gguf, row.permuted_heads == nullptr ? 0 : row.permuted_heads(config_));
    }
  }
  if (rule_.rotates) load_rope(model, context);
}

void DecoderBlock::load_linear(const formats::ModelFile& model, std::string_view hf, std::string_view gguf,
                               std::int64_t heads) {
  const std::string prefix = "blk." + std::to_string(index_) + ".";
  hf.remove_suffix(kWeight.size());
  const std::string_view module = gguf.substr(0, gguf.size() - kWeight.size());
  const bool split = hf.find(kExpert) != std::string_view::npos;
  const std::int64_t parts = split ? config_.experts : 1;
  const std::string name = prefix + std::string(gguf);
  const std::int64_t rows = tensor_of(model, name).rows() / parts;
  for (std::int64_t part = 0; part < parts; ++part) {
    Linear linear{std::string(hf), module, {stage_of(gguf), split ? part : Place::kNoExpert}, {}, {}};
    if (split) linear.name.replace(linear.name.find(kExpert), kExpert.size(), std::to_string(part));
    linear.weight = load_rows(model, name, part * rows, rows);
    if (heads > 0) linear.weight = in_hf_order(linear.weight, heads);
    const std::string bias = prefix + std::string(module) + ".bias";
    if (model.find(bias) != nullptr) {
      Matrix values = load_matrix(model, bias);
      std::swap(values.rows, values.columns);
      linear.bias = heads > 0 ? in_hf_order(values, heads).values : values.values;
    }
    linears_.push_back(std::move(linear));
  }
}

void DecoderBlock::load_other(const formats::ModelFile& model, std::string_view hf, std::string_view gguf,
                              bool plus_one) {
  const Matrix values = load_matrix(model, "blk." + std::to_string(index_) + "." + std::string(gguf));
  std::vector<std::int64_t> shape = {values.columns};
  if (values.rows > 1) shape.insert(shape.begin(), values.rows);
  others_.push_back({hf, gguf, std::move(shape), values.values, plus_one});
}

void DecoderBlock::load_rope(const formats::ModelFile& model, std::int64_t context) {
  model::RopeFrequencies rope;
  if (rule_.sliding_rope) {
    rope = model::rope_frequencies(config_.rope_dim, config_.rope_theta_sliding, {}, {});
  } else {
    const std::string name = model::rope_factors_name(config_.rope_scaling, context);
    const Matrix factors = model.find(name) == nullptr ? Matrix() : load_matrix(model, name);
    rope =
        model::rope_frequencies(config_.rope_dim, config_.rope_theta, factors.values, config_.rope_scaling);
  }
  rotation_.frequencies = std::move(rope.frequencies);
  rotation_.magnitude = rope.magnitude;
  // Of heads whose rows GGUF permutes, neighbours rotate there and the halves of a head here.
  const bool permuted = architecture_.rope == model::RopeLayout::kNeighbours;
  rotation_.apart = (permuted ? config_.head_dim : config_.rope_dim) / 2;
}

}  // namespace stepdown::quant
