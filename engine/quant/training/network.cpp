#include "engine/quant/training/network.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/base/error.h"
#include "engine/quant/matrix_product.h"

namespace stepdown::quant {
namespace {

/// In place: log-probabilities.
void log_softmax(std::span<float> logits) {
  const float largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x - largest));
  const auto shift = static_cast<float>(largest + std::log(sum));
  for (float& x : logits) x -= shift;
}

/// Gradients are those of llama's block: biases, experts and other norms would need their
/// own.
void check_trainable(const formats::ModelFile& model) {
  const formats::ModelConfig& config = model.config();
  if (config.architecture == "llama" && config.experts == 0 &&
      config.rope_scaling.kind == formats::RopeScaling::Kind::kNone &&
      model.find("blk.0.attn_q.bias") == nullptr)
    return;
  throw InputError(
      "training cannot follow this model of architecture \"" + config.architecture + "\"", "--model",
      "it knows llama and mistral without experts, biases or scaled RoPE other than llama3's; use "
      "autoround, gptq or awq");
}

}  // namespace

Network::Network(const formats::ModelFile& model) : epsilon_(model.config().rms_eps) {
  check_trainable(model);
  for (std::int64_t layer = 0; layer < model.config().layers; ++layer) blocks_.emplace_back(model, layer);
  const bool tied = model.find("output.weight") == nullptr;
  Head head{load_matrix(model, "output_norm.weight").values,
            load_matrix(model, tied ? "token_embd.weight" : "output.weight"),
            {}};
  head.back = transposed(head.weight);
  head_ = std::make_shared<const Head>(std::move(head));
}

LayerWeights Network::zeros() const {
  LayerWeights all;
  for (const DecoderBlock& block : blocks_) {
    auto& layer = all.emplace_back();
    for (const Linear& linear : block.linears())
      layer.emplace_back(linear.weight.rows, linear.weight.columns);
  }
  return all;
}

Matrix Network::forward(kernels::ThreadPool& pool, const Matrix& embeddings, Tape& tape) const {
  tape.blocks.resize(blocks_.size());
  tape.last = embeddings;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    tape.last = quant::forward(pool, blocks_[i], tape.last, tape.blocks[i]);
  }
  return product(pool, normed(tape.last, head_->norm, epsilon_), head_->weight);
}

void Network::backward(kernels::ThreadPool& pool, const Tape& tape, const Matrix& by_logits,
                       LayerWeights& by_weight) const {
  Matrix by_stream = norm_backward(tape.last, head_->norm, epsilon_, product(pool, by_logits, head_->back));
  for (std::size_t i = blocks_.size(); i-- > 0;) {
    by_stream = quant::backward(pool, blocks_[i], tape.blocks[i], by_stream, by_weight[i]);
  }
}

double distill(const Matrix& teacher, Matrix& student) {
  const auto tokens = static_cast<float>(student.rows);
  double loss = 0;
  std::vector<float> wanted(static_cast<std::size_t>(teacher.columns));
  for (std::int64_t row = 0; row < student.rows; ++row) {
    std::ranges::copy(teacher.row_span(row), wanted.begin());
    log_softmax(wanted);
    log_softmax(student.row_span(row));
    float* got = student.row(row);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const float p = std::exp(wanted[i]);
      loss += static_cast<double>(p) * static_cast<double>(wanted[i] - got[i]);
      got[i] = (std::exp(got[i]) - p) / tokens;
    }
  }
  return loss / static_cast<double>(tokens);
}

}  // namespace stepdown::quant
