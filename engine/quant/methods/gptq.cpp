#include "engine/quant/methods/gptq.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "engine/quant/linear_algebra.h"
#include "engine/quant/methods/affine_rounding.h"
#include "engine/quant/methods/gptq_layout.h"

namespace stepdown::quant {
namespace {

using formats::AffineMatrix;

constexpr std::int64_t kBlock = 128;        // columns whose errors are passed on together
constexpr std::int64_t kRowsTogether = 16;  // of one task, so that a row of the inverse serves them all
constexpr std::int64_t kStrip = 64;         // columns that an update touches at once: they stay in the cache
constexpr int kDampingTrials = 8;

/// The order of columns to be quantized in, and the factor by which errors spread, in that order.
struct Plan {
  std::vector<std::int64_t> order;
  Matrix spread;  ///< U with H⁻¹ = Uᵀ·U
};

std::vector<std::int64_t> column_order(const Matrix& gram, bool act_order) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(gram.rows));
  std::iota(order.begin(), order.end(), 0);
  if (act_order) {
    std::ranges::stable_sort(order, std::ranges::greater(), [&](std::int64_t i) { return gram.row(i)[i]; });
  }
  return order;
}

Matrix reordered(const Matrix& gram, const std::vector<std::int64_t>& order) {
  Matrix h(gram.rows, gram.columns);
  for (std::int64_t i = 0; i < h.rows; ++i) {
    for (std::int64_t j = 0; j < h.columns; ++j) {
      h.row(i)[j] = gram.row(order[static_cast<std::size_t>(i)])[order[static_cast<std::size_t>(j)]];
    }
  }
  return h;
}

Plan make_plan(kernels::ThreadPool& pool, const std::string& module, const StageInputs& inputs,
               const WeightSettings& settings) {
  Plan plan;
  plan.order = column_order(inputs.gram, settings.act_order);
  Matrix h = reordered(inputs.gram, plan.order);
  double mean = 0;
  for (std::int64_t i = 0; i < h.rows; ++i)
    mean += static_cast<double>(h.row(i)[i]) / static_cast<double>(h.rows);
  if (!(mean > 0)) mean = 1;
  for (std::int64_t i = 0; i < h.rows; ++i) {
    if (!(h.row(i)[i] > 0)) h.row(i)[i] = static_cast<float>(mean);  // an input that never came
  }
  double damping = settings.damping;
  double added = 0;
  for (int trial = 0; trial < kDampingTrials; ++trial, damping = std::max(damping * 10, 1e-4)) {
    const auto step = static_cast<float>(damping * mean - added);
    for (std::int64_t i = 0; i < h.rows; ++i) h.row(i)[i] += step;
    added = damping * mean;
    if (auto spread = inverse_cholesky(pool, h)) {
      if (trial > 0) {
        log::warn("Hessian of " + module + " is not positive definite: damping raised to " +
                  std::to_string(damping));
      }
      plan.spread = std::move(*spread);
      return plan;
    }
  }
  log::warn("Hessian of " + module +
            " cannot be factored: weights that read the same are rounded as they are");
  plan.spread = Matrix(h.rows, h.columns);  // the identity: no error is passed on
  for (std::int64_t i = 0; i < h.rows; ++i) plan.spread.row(i)[i] = 1.0f;
  return plan;
}

/// Some rows of one matrix on their way, columns in the plan's order.
class Rows {
 public:
  Rows(const Matrix& weight, const Plan& plan, const WeightSettings& settings, std::int64_t first,
       AffineMatrix& out)
      : weight_(weight),
        plan_(plan),
        settings_(settings),
        first_(first),
        count_(std::min(kRowsTogether, weight.rows - first)),
        out_(out),
        rest_(count_, weight.columns),
        errors_(count_, kBlock),
        strip_(kBlock, kStrip),
        grids_(static_cast<std::size_t>(count_ * out.groups())) {
    for (std::int64_t row = 0; row < count_; ++row) {
      for (std::int64_t j = 0; j < weight.columns; ++j) rest_.row(row)[j] = weight.row(first + row)[at(j)];
    }
  }

  void quantize() {
    if (fixed_groups()) find_fixed_grids();
    for (std::int64_t begin = 0; begin < weight_.columns; begin += kBlock) {
      const std::int64_t end = std::min(begin + kBlock, weight_.columns);
      for (std::int64_t j = begin; j < end; ++j) quantize_column(begin, end, j);
      pass_on(begin, end);
    }
  }

 private:
  std::int64_t at(std::int64_t j) const { return plan_.order[static_cast<std::size_t>(j)]; }
  GridSearch search() const { return {settings_.bits, settings_.symmetric, settings_.search_clip}; }
  /// Whether a group's columns are neighbours in the file, so that its grid comes from the weights as they
  /// were.
  bool fixed_groups() const { return settings_.act_order && settings_.static_groups; }
  std::int64_t group(std::int64_t j) const { return (fixed_groups() ? at(j) : j) / out_.group_size; }
  IntegerGrid& grid(std::int64_t row, std::int64_t group_index) {
    return grids_[static_cast<std::size_t>(row * out_.groups() + group_index)];
  }

  void set(std::int64_t row, std::int64_t group_index, std::span<const float> weights) {
    grid(row, group_index) = find_grid(weights, search());
    set_grid(out_, first_ + row, group_index, grid(row, group_index));
  }

  void find_fixed_grids() {
    for (std::int64_t row = 0; row < count_; ++row) {
      for (std::int64_t g = 0; g < out_.groups(); ++g) {
        const std::int64_t begin = g * out_.group_size;
        const auto count = static_cast<std::size_t>(std::min(out_.group_size, weight_.columns - begin));
        set(row, g, {weight_.row(first_ + row) + begin, count});
      }
    }
  }

  void quantize_column(std::int64_t begin, std::int64_t end, std::int64_t j) {
    const float* spread = plan_.spread.row(j);
    for (std::int64_t row = 0; row < count_; ++row) {
      float* rest = rest_.row(row);
      if (!fixed_groups() && j % out_.group_size == 0) {
        const auto count = static_cast<std::size_t>(std::min(out_.group_size, weight_.columns - j));
        set(row, j / out_.group_size, {rest + j, count});
      }
      const IntegerGrid& codes = grid(row, group(j));
      const int code = codes.code(rest[j]);
      out_.codes[static_cast<std::size_t>((first_ + row) * weight_.columns + at(j))] =
          static_cast<std::uint8_t>(code);
      const float error = (rest[j] - codes.value(code)) / spread[j];
      errors_.row(row)[j - begin] = -error;
      axpy(-error, spread + j, rest + j, static_cast<std::size_t>(end - j));
    }
  }

  /// Spreads the block's errors over all columns behind it.
  void pass_on(std::int64_t begin, std::int64_t end) {
    for (std::int64_t strip = end; strip < weight_.columns; strip += kStrip) {
      const std::int64_t width = std::min(kStrip, weight_.columns - strip);
      for (std::int64_t j = begin; j < end; ++j)
        std::copy_n(plan_.spread.row(j) + strip, width, strip_.row(j - begin));
      add_product({errors_.row(0), kBlock}, {strip_.row(0), kStrip}, end - begin,
                  {rest_.row(0) + strip, rest_.columns}, count_, width);
    }
  }

  const Matrix& weight_;
  const Plan& plan_;
  const WeightSettings& settings_;
  std::int64_t first_;
  std::int64_t count_;
  AffineMatrix& out_;
  Matrix rest_;    ///< what is left to be quantized
  Matrix errors_;  ///< of the current block, negated
  Matrix strip_;   ///< of the factor's rows of that block, side by side
  std::vector<IntegerGrid> grids_;
};

QuantizedWeight quantize(kernels::ThreadPool& pool, const Matrix& weight, const Plan& plan,
                         const WeightSettings& settings) {
  AffineMatrix matrix = empty_affine(weight, settings.bits, settings.group_size);
  pool.each((weight.rows + kRowsTogether - 1) / kRowsTogether, [&](std::int64_t index, int /*worker*/) {
    Rows(weight, plan, settings, index * kRowsTogether, matrix).quantize();
  });
  if (settings.act_order && !settings.static_groups) {
    matrix.group_of.resize(plan.order.size());
    for (std::size_t j = 0; j < plan.order.size(); ++j) {
      matrix.group_of[static_cast<std::size_t>(plan.order[j])] =
          static_cast<std::int32_t>(static_cast<std::int64_t>(j) / matrix.group_size);
    }
  }
  return formats::pack_gptq(matrix, settings.gptq_version.value());
}

std::vector<QuantizedWeight> quantize_place(kernels::ThreadPool& pool, Linears linears,
                                            const StageInputs* inputs, const WeightSettings& settings) {
  const Plan plan = make_plan(pool, linears.front()->name, *inputs, settings);
  std::vector<QuantizedWeight> quantized;
  for (const Linear* linear : linears) quantized.push_back(quantize(pool, linear->weight, plan, settings));
  return quantized;
}

nlohmann::json config(const WeightSettings& settings, const std::vector<std::string>& kept) {
  nlohmann::json config = gptq_layout_config(settings, settings.act_order && !settings.static_groups, kept);
  config["damp_percent"] = settings.damping;
  config["static_groups"] = settings.static_groups;
  config["true_sequential"] = true;
  return config;
}

}  // namespace

WeightMethod gptq_method() {
  return {"gptq",
          "--bits --group-size --granularity --asymmetric --no-act-order --no-static-groups --damping "
          "--checkpoint-format",
          needs_gram,
          settle_gptq_layout,
          nullptr,
          quantize_place,
          {5, 0.5},
          config};
}

}  // namespace stepdown::quant
