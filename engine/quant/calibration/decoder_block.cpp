#include "engine/quant/calibration/decoder_block.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "engine/base/error.h"
#include "engine/kernels/dequantize.h"
#include "engine/quant/linear_algebra.h"

namespace stepdown::quant {
namespace {

struct LinearName {
  std::string_view name;
  std::string_view gguf;
  Stage stage;
};
constexpr std::array kLinears = {
    LinearName{"self_attn.q_proj", "attn_q", Stage::kAttentionInput},
    LinearName{"self_attn.k_proj", "attn_k", Stage::kAttentionInput},
    LinearName{"self_attn.v_proj", "attn_v", Stage::kAttentionInput},
    LinearName{"self_attn.o_proj", "attn_output", Stage::kAttentionOutput},
    LinearName{"mlp.gate_proj", "ffn_gate", Stage::kFeedForwardInput},
    LinearName{"mlp.up_proj", "ffn_up", Stage::kFeedForwardInput},
    LinearName{"mlp.down_proj", "ffn_down", Stage::kFeedForwardOutput},
};

/// Angle of each pair of a head at position 1.
std::vector<double> frequencies(const formats::ModelFile& model) {
  const formats::ModelConfig& config = model.config();
  std::vector<float> factors(static_cast<std::size_t>(config.rope_dim / 2), 1.0f);
  if (model.find("rope_freqs.weight") != nullptr) factors = load_matrix(model, "rope_freqs.weight").values;
  std::vector<double> result;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(config.rope_dim);
    result.push_back(std::pow(static_cast<double>(config.rope_theta), exponent) / factors[i]);
  }
  return result;
}

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

/// Rotates every head of every row: element i of a head with element i + half, as transformers does.
void rotate(Matrix& rows, std::int64_t head_dim, const std::vector<double>& angles, double direction = 1.0) {
  const auto half = static_cast<std::int64_t>(angles.size());
  for (std::int64_t position = 0; position < rows.rows; ++position) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = direction * angles[static_cast<std::size_t>(i)] * static_cast<double>(position);
      const auto cosine = static_cast<float>(std::cos(angle));
      const auto sine = static_cast<float>(std::sin(angle));
      for (float* head = rows.row(position); head < rows.row(position) + rows.columns; head += head_dim) {
        const float left = head[i];
        const float right = head[i + half];
        head[i] = left * cosine - right * sine;
        head[i + half] = right * cosine + left * sine;
      }
    }
  }
}

}  // namespace

Matrix normed(const Matrix& stream, const std::vector<float>& weight, float epsilon) {
  Matrix out(stream.rows, stream.columns);
  for (std::int64_t row = 0; row < stream.rows; ++row) {
    kernels::operations().rms_norm(stream.row(row), weight.data(), epsilon, stream.columns, out.row(row));
  }
  return out;
}

Matrix load_matrix(const formats::ModelFile& model, const std::string& name) {
  const TensorView* tensor = model.find(name);
  if (tensor == nullptr) throw InputError("a tensor is missing", "tensor " + name, "give the complete model");
  Matrix matrix(tensor->rows(), tensor->columns());
  const std::size_t bytes = tensor->data.size() / static_cast<std::size_t>(matrix.rows);
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    kernels::dequantize_row(tensor->type, tensor->data.subspan(static_cast<std::size_t>(row) * bytes, bytes),
                            matrix.row_span(row));
  }
  model.release(*tensor);
  if (!std::ranges::all_of(matrix.values, [](float x) { return std::isfinite(x); })) {
    throw InputError("holds weights that are not finite", "tensor " + name,
                     "the checkpoint is damaged; give a sound one");
  }
  if (name.ends_with(".attn_q.weight")) return in_hf_order(matrix, model.config().heads);
  if (name.ends_with(".attn_k.weight")) return in_hf_order(matrix, model.config().kv_heads);
  return matrix;
}

Matrix product(kernels::ThreadPool& pool, const Matrix& inputs, const Matrix& weight) {
  const TensorView view = weight.view();
  std::vector<std::byte> memory(kernels::PackedMatrix::packed_bytes(view));
  const kernels::PackedMatrix packed(view, memory);
  kernels::Activations rows(inputs.rows, inputs.columns);
  for (std::int64_t row = 0; row < inputs.rows; ++row) std::ranges::copy(inputs.row_span(row), rows.row(row));
  Matrix out(inputs.rows, weight.rows);
  const kernels::Product one{&packed, out.values.data(), out.columns};
  kernels::multiply(pool, kernels::operations(), rows, 0, inputs.rows, {&one, 1});
  return out;
}

DecoderBlock::DecoderBlock(const formats::ModelFile& model, std::int64_t index)
    : index_(index), config_(model.config()), angles_(frequencies(model)) {
  const bool scaled = config_.rope_scaling.kind != formats::RopeScaling::Kind::kNone;
  if (config_.architecture != "llama" || config_.experts > 0 || scaled) {
    throw InputError("this method cannot follow architecture \"" + config_.architecture + "\"", "--model",
                     "supported is llama, without experts or RoPE scaling other than llama3's");
  }
  const std::string prefix = "blk." + std::to_string(index) + ".";
  for (const LinearName& each : kLinears) {
    linears_.push_back(
        {each.name, each.gguf, each.stage, load_matrix(model, prefix + std::string(each.gguf) + ".weight")});
  }
  input_norm_ = load_matrix(model, prefix + "attn_norm.weight").values;
  post_norm_ = load_matrix(model, prefix + "ffn_norm.weight").values;
}

const Linear& DecoderBlock::linear(std::string_view name) const {
  return *std::ranges::find(linears_, name, &Linear::name);
}

Linear& DecoderBlock::linear(std::string_view name) {
  return *std::ranges::find(linears_, name, &Linear::name);
}

AttentionInputs DecoderBlock::attention_inputs(kernels::ThreadPool& pool, const Matrix& normed_stream) const {
  AttentionInputs inputs{product(pool, normed_stream, linear("self_attn.q_proj").weight),
                         product(pool, normed_stream, linear("self_attn.k_proj").weight),
                         product(pool, normed_stream, linear("self_attn.v_proj").weight)};
  rotate(inputs.queries, config_.head_dim, angles_);
  rotate(inputs.keys, config_.head_dim, angles_);
  return inputs;
}

void DecoderBlock::rotate_back(Matrix& rows) const {
  rotate(rows, config_.head_dim, angles_, -1.0);
}

Matrix DecoderBlock::attention(kernels::ThreadPool& pool, const AttentionInputs& inputs) const {
  const Matrix& queries = inputs.queries;
  const Matrix& keys = inputs.keys;
  const Matrix& values = inputs.values;
  const std::int64_t width = config_.head_dim;
  const std::int64_t group = config_.heads / config_.kv_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  const std::int64_t tokens = queries.rows;
  Matrix out(tokens, queries.columns);
  pool.each(config_.heads, [&](std::int64_t head, int /*worker*/) {
    const std::int64_t from = head / group * width;
    std::vector<float> scores(static_cast<std::size_t>(tokens));
    for (std::int64_t query = 0; query < tokens; ++query) {
      const float* q = queries.row(query) + head * width;
      for (std::int64_t key = 0; key <= query; ++key) {
        scores[static_cast<std::size_t>(key)] =
            scale * dot(q, keys.row(key) + from, static_cast<std::size_t>(width));
      }
      kernels::operations().softmax(scores.data(), query + 1);
      for (std::int64_t key = 0; key <= query; ++key) {
        axpy(scores[static_cast<std::size_t>(key)], values.row(key) + from, out.row(query) + head * width,
             static_cast<std::size_t>(width));
      }
    }
  });
  return out;
}

Matrix DecoderBlock::inputs(kernels::ThreadPool& pool, Stage stage, const Matrix& stream) const {
  const float epsilon = config_.rms_eps;
  switch (stage) {
    case Stage::kAttentionInput:
      return normed(stream, input_norm_, epsilon);
    case Stage::kAttentionOutput:
      return attention(pool, attention_inputs(pool, normed(stream, input_norm_, epsilon)));
    case Stage::kFeedForwardInput:
      return normed(stream, post_norm_, epsilon);
    case Stage::kFeedForwardOutput:
      break;
  }
  const Matrix input = normed(stream, post_norm_, epsilon);
  Matrix gate = product(pool, input, linear("mlp.gate_proj").weight);
  const Matrix up = product(pool, input, linear("mlp.up_proj").weight);
  for (std::int64_t row = 0; row < gate.rows; ++row) {
    kernels::operations().silu_multiply(gate.row(row), up.row(row), gate.columns);
  }
  return gate;
}

void DecoderBlock::add_output(kernels::ThreadPool& pool, Stage stage, const Matrix& inputs,
                              Matrix& stream) const {
  const Matrix& weight =
      linear(stage == Stage::kAttentionOutput ? "self_attn.o_proj" : "mlp.down_proj").weight;
  const Matrix out = product(pool, inputs, weight);
  axpy(1.0f, out.values.data(), stream.values.data(), out.values.size());
}

}  // namespace stepdown::quant
