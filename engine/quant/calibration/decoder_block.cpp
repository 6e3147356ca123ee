#include "engine/quant/calibration/decoder_block.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/model/feed_forward.h"
#include "engine/quant/linear_algebra.h"
#include "engine/quant/matrix_product.h"

namespace stepdown::quant {
namespace {

void add_to_rows(Matrix& rows, const std::vector<float>& bias) {
  if (bias.empty()) return;
  for (std::int64_t row = 0; row < rows.rows; ++row) axpy(1.0f, bias.data(), rows.row(row), bias.size());
}

Matrix outputs(kernels::ThreadPool& pool, const Matrix& inputs, const Linear& linear) {
  Matrix out = product(pool, inputs, linear.weight);
  add_to_rows(out, linear.bias);
  return out;
}

/// Some columns of each row.
Matrix columns_of(const Matrix& matrix, std::int64_t first, std::int64_t count) {
  Matrix part(matrix.rows, count);
  for (std::int64_t row = 0; row < matrix.rows; ++row)
    std::copy_n(matrix.row(row) + first, count, part.row(row));
  return part;
}

/// Every head of every row, or the whole row, over its root mean square.
void norm_in_place(Matrix& rows, const BlockTensor* weight, float epsilon) {
  if (weight == nullptr) return;
  const auto count = static_cast<std::int64_t>(weight->values.size());
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    for (float* at = rows.row(row); at < rows.row(row) + rows.columns; at += count)
      kernels::operations().rms_norm(at, weight->values.data(), epsilon, count, at);
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

const Linear* DecoderBlock::find(std::string_view gguf, std::int64_t expert) const {
  const auto found = std::ranges::find_if(
      linears_, [&](const Linear& each) { return each.gguf == gguf && each.place.expert == expert; });
  return found == linears_.end() ? nullptr : &*found;
}

Linear* DecoderBlock::find(std::string_view gguf, std::int64_t expert) {
  return const_cast<Linear*>(std::as_const(*this).find(gguf, expert));
}

const BlockTensor* DecoderBlock::other(std::string_view gguf) const {
  const auto found = std::ranges::find(others_, gguf, &BlockTensor::gguf);
  return found == others_.end() ? nullptr : &*found;
}

const BlockTensor* DecoderBlock::norm(Stage stage) const {
  return other(stage == Stage::kAttentionInput ? "attn_norm.weight" : "ffn_norm.weight");
}

BlockTensor* DecoderBlock::norm(Stage stage) {
  return const_cast<BlockTensor*>(std::as_const(*this).norm(stage));
}

const BlockTensor* DecoderBlock::router() const {
  return other("ffn_gate_inp.weight");
}

BlockTensor* DecoderBlock::router() {
  return const_cast<BlockTensor*>(std::as_const(*this).router());
}

std::vector<Place> DecoderBlock::places() const {
  std::vector<Place> places;
  for (const Stage stage : kStages) {
    const bool split = config_.experts > 0 && stage >= Stage::kFeedForwardInput;
    if (!split) places.push_back({stage});
    for (std::int64_t expert = 0; split && expert < config_.experts; ++expert)
      places.push_back({stage, expert});
  }
  return places;
}

Matrix DecoderBlock::before(Stage stage, const Matrix& stream) const {
  const BlockTensor* weight = norm(stage);
  return weight == nullptr ? stream : normed(stream, weight->values, config_.rms_eps);
}

AttentionInputs DecoderBlock::attention_inputs(kernels::ThreadPool& pool, const Matrix& input,
                                               Lengths lengths) const {
  AttentionInputs heads;
  if (const Linear* joined = find("attn_qkv")) {
    const Matrix all = outputs(pool, input, *joined);
    const std::int64_t query = config_.heads * config_.head_dim;
    const std::int64_t key = config_.kv_heads * config_.head_dim;
    heads = {columns_of(all, 0, query), columns_of(all, query, key), columns_of(all, query + key, key)};
  } else {
    heads = {outputs(pool, input, linear("attn_q")), outputs(pool, input, linear("attn_k")),
             outputs(pool, input, linear("attn_v"))};
  }
  norm_in_place(heads.queries, other("attn_q_norm.weight"), config_.rms_eps);
  norm_in_place(heads.keys, other("attn_k_norm.weight"), config_.rms_eps);
  rotate(rotation_, config_.head_dim, lengths, heads.queries);
  rotate(rotation_, config_.head_dim, lengths, heads.keys);
  return heads;
}

void DecoderBlock::rotate_back(Matrix& rows) const {
  rotate(rotation_, config_.head_dim, {}, rows, -1.0f);
}

Matrix DecoderBlock::attention(kernels::ThreadPool& pool, const AttentionInputs& inputs,
                               Lengths lengths) const {
  return attend(pool, rule_.attention, config_.head_dim, lengths, inputs);
}

/// What the down projection reads: of all experts or one.
Matrix DecoderBlock::hidden_units(kernels::ThreadPool& pool, const Matrix& input, std::int64_t expert) const {
  const bool split = expert != Place::kNoExpert;
  const Linear* gate = find(split ? "ffn_gate_exps" : "ffn_gate", expert);
  Matrix up = outputs(pool, input, linear(split ? "ffn_up_exps" : "ffn_up", expert));
  Matrix gated;
  if (gate != nullptr) {
    gated = outputs(pool, input, *gate);
  } else {  // the gate's rows first
    gated = columns_of(up, 0, up.columns / 2);
    up = columns_of(up, up.columns / 2, up.columns / 2);
  }
  const auto multiply = architecture_.activation == model::Activation::kSilu
                            ? kernels::operations().silu_multiply
                            : kernels::operations().gelu_multiply;
  for (std::int64_t row = 0; row < gated.rows; ++row) multiply(gated.row(row), up.row(row), gated.columns);
  return gated;
}

/// The tokens of each expert.
std::vector<std::vector<DecoderBlock::Choice>> DecoderBlock::route(kernels::ThreadPool& pool,
                                                                   const Matrix& input) const {
  Matrix weights(config_.experts, config_.hidden);
  weights.values = router()->values;
  Matrix logits = product(pool, input, weights);
  std::vector<std::vector<Choice>> choices(static_cast<std::size_t>(config_.experts));
  for (std::int64_t row = 0; row < logits.rows; ++row) {
    kernels::operations().softmax(logits.row(row), logits.columns);
    for (const auto& [expert, weight] : model::choose_experts(logits.row_span(row), config_))
      choices[expert].push_back({row, weight});
  }
  return choices;
}

Matrix DecoderBlock::rows_of(const Matrix& input, const std::vector<Choice>& chosen) {
  Matrix rows(static_cast<std::int64_t>(chosen.size()), input.columns);
  for (std::size_t i = 0; i < chosen.size(); ++i)
    std::ranges::copy(input.row_span(chosen[i].row), rows.row(static_cast<std::int64_t>(i)));
  return rows;
}

Matrix DecoderBlock::inputs(kernels::ThreadPool& pool, Place place, const Matrix& stream,
                            Lengths lengths) const {
  if (place.stage == Stage::kAttentionInput) return before(place.stage, stream);
  if (place.stage == Stage::kAttentionOutput)
    return attention(pool, attention_inputs(pool, before(Stage::kAttentionInput, stream), lengths), lengths);
  Matrix input = before(Stage::kFeedForwardInput, stream);
  if (place.expert != Place::kNoExpert) {
    const auto choices = route(pool, input);
    input = rows_of(input, choices[static_cast<std::size_t>(place.expert)]);
  }
  return place.stage == Stage::kFeedForwardInput ? input : hidden_units(pool, input, place.expert);
}

/// Adds a block's output to the stream, as the architecture norms and scales it.
void DecoderBlock::join(Stage stage, Matrix out, Matrix& stream) const {
  norm_in_place(
      out, other(stage == Stage::kAttentionOutput ? "post_attention_norm.weight" : "post_ffw_norm.weight"),
      config_.rms_eps);
  axpy(config_.residual_scale, out.values.data(), stream.values.data(), out.values.size());
}

void DecoderBlock::add_output(kernels::ThreadPool& pool, Stage stage, const Matrix& inputs,
                              Matrix& stream) const {
  join(stage, outputs(pool, inputs, linear(stage == Stage::kAttentionOutput ? "attn_output" : "ffn_down")),
       stream);
}

void DecoderBlock::advance(kernels::ThreadPool& pool, Stage stage, Matrix& stream, Lengths lengths) const {
  if (stage != Stage::kAttentionOutput && stage != Stage::kFeedForwardOutput) return;
  if (stage == Stage::kAttentionOutput || config_.experts == 0)
    return add_output(pool, stage, inputs(pool, {stage}, stream, lengths), stream);
  const Matrix input = before(Stage::kFeedForwardInput, stream);
  const auto choices = route(pool, input);
  Matrix out(stream.rows, stream.columns);
  for (std::int64_t expert = 0; expert < config_.experts; ++expert) {
    const auto& chosen = choices[static_cast<std::size_t>(expert)];
    if (chosen.empty()) continue;
    const Matrix units = hidden_units(pool, rows_of(input, chosen), expert);
    const Matrix part = outputs(pool, units, linear("ffn_down_exps", expert));
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      axpy(chosen[i].weight, part.row(static_cast<std::int64_t>(i)), out.row(chosen[i].row),
           static_cast<std::size_t>(out.columns));
    }
  }
  join(stage, std::move(out), stream);
}

}  // namespace stepdown::quant
