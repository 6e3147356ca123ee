#include "engine/quant/training/block_gradient.h"

#include <algorithm>
#include <cmath>

#include "engine/quant/linear_algebra.h"
#include "engine/quant/matrix_product.h"

namespace stepdown::quant {
namespace {

void add(const Matrix& from, Matrix& to) {
  axpy(1.0f, from.values.data(), to.values.data(), to.values.size());
}

/// One linear layer on its way back: gradient by its input; adds the one by its weight.
Matrix linear_backward(kernels::ThreadPool& pool, const Matrix& weight, const Matrix& input,
                       const Matrix& by_output, Matrix& by_weight) {
  add(product(pool, transposed(by_output), transposed(input)), by_weight);
  return product(pool, by_output, transposed(weight));
}

float sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

/// Softmax of the scores of one query over the keys up to it.
void probabilities(const float* query, const Matrix& keys, std::int64_t from, std::int64_t width, float scale,
                   std::span<float> out) {
  for (std::size_t key = 0; key < out.size(); ++key) {
    out[key] =
        scale * dot(query, keys.row(static_cast<std::int64_t>(key)) + from, static_cast<std::size_t>(width));
  }
  kernels::operations().softmax(out.data(), static_cast<std::int64_t>(out.size()));
}

struct AttentionGradient {
  Matrix queries, keys, values;
};

/// Heads that share keys and values are one task, so that no two write to the same row.
AttentionGradient attention_backward(kernels::ThreadPool& pool, const formats::ModelConfig& config,
                                     const BlockTape& tape, const Matrix& by_attended) {
  const std::int64_t width = config.head_dim;
  const auto length = static_cast<std::size_t>(width);
  const std::int64_t group = config.heads / config.kv_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  const std::int64_t tokens = by_attended.rows;
  AttentionGradient out{Matrix(tokens, tape.queries.columns), Matrix(tokens, tape.keys.columns),
                        Matrix(tokens, tape.values.columns)};
  pool.each(config.kv_heads, [&](std::int64_t kv_head, int /*worker*/) {
    const std::int64_t from = kv_head * width;
    std::vector<float> weights(static_cast<std::size_t>(tokens));
    std::vector<float> slopes(weights.size());
    for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (std::int64_t query = 0; query < tokens; ++query) {
        const auto seen = static_cast<std::size_t>(query + 1);
        const float* q = tape.queries.row(query) + head * width;
        const float* above = by_attended.row(query) + head * width;
        probabilities(q, tape.keys, from, width, scale, {weights.data(), seen});
        float mean = 0.0f;
        for (std::size_t key = 0; key < seen; ++key) {
          const auto row = static_cast<std::int64_t>(key);
          slopes[key] = dot(above, tape.values.row(row) + from, length);
          mean += weights[key] * slopes[key];
          axpy(weights[key], above, out.values.row(row) + from, length);
        }
        for (std::size_t key = 0; key < seen; ++key) {
          const auto row = static_cast<std::int64_t>(key);
          const float slope = scale * weights[key] * (slopes[key] - mean);
          axpy(slope, tape.keys.row(row) + from, out.queries.row(query) + head * width, length);
          axpy(slope, q, out.keys.row(row) + from, length);
        }
      }
    }
  });
  return out;
}

}  // namespace

Matrix transposed(const Matrix& matrix) {
  constexpr std::int64_t kTile = 32;  // so that both sides stay in the cache
  Matrix result(matrix.columns, matrix.rows);
  for (std::int64_t row = 0; row < matrix.rows; row += kTile) {
    for (std::int64_t column = 0; column < matrix.columns; column += kTile) {
      for (std::int64_t i = row; i < std::min(row + kTile, matrix.rows); ++i) {
        for (std::int64_t j = column; j < std::min(column + kTile, matrix.columns); ++j) {
          result.row(j)[i] = matrix.row(i)[j];
        }
      }
    }
  }
  return result;
}

Matrix norm_backward(const Matrix& input, const std::vector<float>& weight, float epsilon,
                     const Matrix& by_output) {
  Matrix result(input.rows, input.columns);
  const auto count = static_cast<std::size_t>(input.columns);
  for (std::int64_t row = 0; row < input.rows; ++row) {
    const float* x = input.row(row);
    const float* above = by_output.row(row);
    const float mean = dot(x, x, count) / static_cast<float>(input.columns);
    const float root = 1.0f / std::sqrt(mean + epsilon);
    float along = 0.0f;
    for (std::size_t i = 0; i < count; ++i) along += above[i] * weight[i] * x[i];
    const float pull = along * root * root * root / static_cast<float>(input.columns);
    for (std::size_t i = 0; i < count; ++i) result.row(row)[i] = root * weight[i] * above[i] - pull * x[i];
  }
  return result;
}

Matrix forward(kernels::ThreadPool& pool, const DecoderBlock& block, const Matrix& stream, BlockTape& tape) {
  tape.stream = stream;
  tape.attention_input = block.inputs(pool, {Stage::kAttentionInput}, stream);
  const AttentionInputs heads = block.attention_inputs(pool, tape.attention_input);
  tape.queries = heads.queries;
  tape.keys = heads.keys;
  tape.values = heads.values;
  tape.attended = block.attention(pool, heads);
  tape.middle = stream;
  block.add_output(pool, Stage::kAttentionOutput, tape.attended, tape.middle);
  tape.feed_forward_input = block.inputs(pool, {Stage::kFeedForwardInput}, tape.middle);
  tape.gate = product(pool, tape.feed_forward_input, block.linear("ffn_gate").weight);
  tape.up = product(pool, tape.feed_forward_input, block.linear("ffn_up").weight);
  tape.hidden = tape.gate;
  for (std::int64_t row = 0; row < tape.hidden.rows; ++row) {
    kernels::operations().silu_multiply(tape.hidden.row(row), tape.up.row(row), tape.hidden.columns);
  }
  Matrix output = tape.middle;
  block.add_output(pool, Stage::kFeedForwardOutput, tape.hidden, output);
  return output;
}

Matrix backward(kernels::ThreadPool& pool, const DecoderBlock& block, const BlockTape& tape,
                const Matrix& by_output, std::vector<Matrix>& by_weight) {
  const auto linear_back = [&](std::string_view name, const Matrix& input, const Matrix& above) {
    const auto& linears = block.linears();
    const auto at =
        static_cast<std::size_t>(std::ranges::find(linears, name, &Linear::gguf) - linears.begin());
    return linear_backward(pool, linears[at].weight, input, above, by_weight[at]);
  };
  const float epsilon = block.config().rms_eps;

  Matrix by_gate = linear_back("ffn_down", tape.hidden, by_output);
  Matrix by_up = by_gate;
  for (std::size_t i = 0; i < by_gate.values.size(); ++i) {
    const float gate = tape.gate.values[i];
    const float open = sigmoid(gate);
    by_up.values[i] *= gate * open;
    by_gate.values[i] *= tape.up.values[i] * open * (1.0f + gate * (1.0f - open));
  }
  Matrix by_input = linear_back("ffn_gate", tape.feed_forward_input, by_gate);
  add(linear_back("ffn_up", tape.feed_forward_input, by_up), by_input);
  Matrix by_middle =
      norm_backward(tape.middle, block.norm(Stage::kFeedForwardInput)->values, epsilon, by_input);
  add(by_output, by_middle);

  const Matrix by_attended = linear_back("attn_output", tape.attended, by_middle);
  AttentionGradient by_heads = attention_backward(pool, block.config(), tape, by_attended);
  block.rotate_back(by_heads.queries);
  block.rotate_back(by_heads.keys);
  by_input = linear_back("attn_q", tape.attention_input, by_heads.queries);
  add(linear_back("attn_k", tape.attention_input, by_heads.keys), by_input);
  add(linear_back("attn_v", tape.attention_input, by_heads.values), by_input);
  Matrix by_stream =
      norm_backward(tape.stream, block.norm(Stage::kAttentionInput)->values, epsilon, by_input);
  add(by_middle, by_stream);
  return by_stream;
}

}  // namespace stepdown::quant
