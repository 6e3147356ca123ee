#include "engine/model/feed_forward.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace stepdown::model {

using kernels::Activations;
using kernels::Operations;
using kernels::Product;
using kernels::ThreadPool;

std::vector<ExpertChoice> choose_experts(std::span<const float> probabilities,
                                         const formats::ModelConfig& config) {
  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater(),
                           [probabilities](std::size_t expert) { return probabilities[expert]; });
  order.resize(static_cast<std::size_t>(config.experts_used));
  float total = 0.0f;
  for (const std::size_t expert : order) total += probabilities[expert];
  std::vector<ExpertChoice> chosen;
  for (const std::size_t expert : order) {
    const float weight = probabilities[expert];
    chosen.push_back({expert, config.normalize_experts ? weight / total : weight});
  }
  return chosen;
}

FeedForward::FeedForward(const formats::ModelConfig& config, Activation activation, std::int64_t max_rows)
    : config_(config),
      activation_(activation),
      gated_(max_rows, config.feed_forward),
      ups_(static_cast<std::size_t>(max_rows * config.feed_forward)),
      router_(static_cast<std::size_t>(max_rows * config.experts)),
      choices_(static_cast<std::size_t>(config.experts)),
      gathered_(config.experts > 0 ? max_rows : 0, config.hidden),
      expert_out_(static_cast<std::size_t>(config.experts > 0 ? max_rows * config.hidden : 0)) {}

void FeedForward::load(WeightLoader& loader, const std::string& prefix, FeedForwardWeights& weights) const {
  const std::int64_t inner = config_.feed_forward;
  if (config_.experts == 0) {
    const bool joined = !loader.has(prefix + "ffn_gate.weight");
    if (!joined) loader.matrix(prefix + "ffn_gate.weight", inner, config_.hidden, weights.gate);
    loader.matrix(prefix + "ffn_up.weight", joined ? 2 * inner : inner, config_.hidden, weights.up);
    loader.matrix(prefix + "ffn_down.weight", config_.hidden, inner, weights.down);
    return;
  }
  loader.matrix(prefix + "ffn_gate_inp.weight", config_.experts, config_.hidden, weights.router);
  weights.experts.resize(static_cast<std::size_t>(config_.experts));
  for (std::int64_t i = 0; i < config_.experts; ++i) {
    FeedForwardWeights::Expert& expert = weights.experts[static_cast<std::size_t>(i)];
    const WeightLoader::Slice slice{i, config_.experts};
    loader.matrix(prefix + "ffn_gate_exps.weight", inner, config_.hidden, expert.gate, slice);
    loader.matrix(prefix + "ffn_up_exps.weight", inner, config_.hidden, expert.up, slice);
    loader.matrix(prefix + "ffn_down_exps.weight", config_.hidden, inner, expert.down, slice);
  }
}

void FeedForward::run(ThreadPool& pool, const Operations& operations, const FeedForwardWeights& weights,
                      const Activations& input, std::int64_t rows, float* out, bool accumulate) {
  if (config_.experts == 0) return run_dense(pool, operations, weights, input, rows, out, accumulate);
  run_experts(pool, operations, weights, input, rows, out, accumulate);
}

void FeedForward::activate(ThreadPool& pool, const Operations& operations, std::int64_t rows) {
  const auto multiply =
      activation_ == Activation::kSilu ? operations.silu_multiply : operations.gelu_multiply;
  const auto one = [&](std::int64_t row, int /*worker*/) {
    multiply(gated_.row(row), ups_.data() + row * config_.feed_forward, config_.feed_forward);
    gated_.encode(operations, row);
  };
  constexpr std::int64_t kSerialRows = 4;  // fewer are not worth waking threads for
  if (rows >= kSerialRows) return pool.each(rows, one);
  for (std::int64_t row = 0; row < rows; ++row) one(row, 0);
}

void FeedForward::run_dense(ThreadPool& pool, const Operations& operations, const FeedForwardWeights& weights,
                            const Activations& input, std::int64_t rows, float* out, bool accumulate) {
  const std::int64_t inner = config_.feed_forward;
  if (weights.gate.rows() > 0) {
    const std::array products = {Product{&weights.gate, gated_.row(0), inner},
                                 Product{&weights.up, ups_.data(), inner}};
    kernels::multiply(pool, operations, input, 0, rows, products);
  } else {
    joined_.resize(std::max(joined_.size(), static_cast<std::size_t>(rows * 2 * inner)));
    const Product product{&weights.up, joined_.data(), 2 * inner};
    kernels::multiply(pool, operations, input, 0, rows, {&product, 1});
    for (std::int64_t row = 0; row < rows; ++row) {
      const float* from = joined_.data() + row * 2 * inner;
      std::copy_n(from, inner, gated_.row(row));
      std::copy_n(from + inner, inner, ups_.data() + row * inner);
    }
  }
  activate(pool, operations, rows);
  const Product product{&weights.down, out, config_.hidden, accumulate};
  kernels::multiply(pool, operations, gated_, 0, rows, {&product, 1});
}

void FeedForward::choose(std::int64_t row) {
  const std::span<const float> probabilities(router_.data() + row * config_.experts,
                                             static_cast<std::size_t>(config_.experts));
  for (const auto& [expert, weight] : choose_experts(probabilities, config_))
    choices_[expert].push_back({row, weight});
}

void FeedForward::run_experts(ThreadPool& pool, const Operations& operations,
                              const FeedForwardWeights& weights, const Activations& input, std::int64_t rows,
                              float* out, bool accumulate) {
  const Product routing{&weights.router, router_.data(), config_.experts};
  kernels::multiply(pool, operations, input, 0, rows, {&routing, 1});
  for (std::int64_t row = 0; row < rows; ++row) {
    operations.softmax(router_.data() + row * config_.experts, config_.experts);
    choose(row);
    if (!accumulate) std::fill_n(out + row * config_.hidden, config_.hidden, 0.0f);
  }
  for (std::size_t index = 0; index < choices_.size(); ++index) {
    const std::vector<Choice>& chosen = choices_[index];
    if (chosen.empty()) continue;
    const FeedForwardWeights::Expert& expert = weights.experts[index];
    const auto count = static_cast<std::int64_t>(chosen.size());
    for (std::int64_t i = 0; i < count; ++i) {
      std::copy_n(input.row(chosen[static_cast<std::size_t>(i)].row), config_.hidden, gathered_.row(i));
      gathered_.encode(operations, i);
    }
    const std::array products = {Product{&expert.gate, gated_.row(0), config_.feed_forward},
                                 Product{&expert.up, ups_.data(), config_.feed_forward}};
    kernels::multiply(pool, operations, gathered_, 0, count, products);
    activate(pool, operations, count);
    const Product down{&expert.down, expert_out_.data(), config_.hidden};
    kernels::multiply(pool, operations, gated_, 0, count, {&down, 1});
    for (std::int64_t i = 0; i < count; ++i) {
      const auto [row, weight] = chosen[static_cast<std::size_t>(i)];
      float* to = out + row * config_.hidden;
      const float* from = expert_out_.data() + i * config_.hidden;
      for (std::int64_t k = 0; k < config_.hidden; ++k) to[k] += weight * from[k];
    }
    choices_[index].clear();
  }
}

}  // namespace stepdown::model
