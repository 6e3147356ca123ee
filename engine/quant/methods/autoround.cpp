#include "engine/quant/methods/autoround.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "engine/base/half.h"
#include "engine/quant/matrix_product.h"
#include "engine/quant/methods/affine_rounding.h"
#include "engine/quant/methods/gptq_layout.h"

namespace stepdown::quant {
namespace {

using formats::AffineMatrix;

constexpr float kMostShift = 0.5f;  // of a weight, in steps of its grid: up or down, no further
constexpr float kLeastClip = 0.5f;  // of a group's searched range
constexpr float kMostClip = 1.2f;
constexpr float kClipRate = 0.2f;  // of the weights' learning rate

/// One matrix while its rounding is learnt. The error of the layer's outputs over the calibration prompts is
/// tr(D·G·Dᵀ), D the weights' errors and G the inputs' Gram matrix; its gradient by the weights is 2·D·G.
class Learner {
 public:
  Learner(kernels::ThreadPool& pool, const Matrix& weight, const Matrix& gram, const WeightSettings& settings)
      : pool_(pool),
        weight_(weight),
        gram_(gram),
        steps_(settings.steps),
        now_(round_to_nearest(pool, weight, settings.group_size,
                              {settings.bits, settings.symmetric, settings.search_clip})),
        start_(now_.scales),
        top_(static_cast<float>((1 << settings.bits) - 1)),
        shift_(weight.rows, weight.columns),
        error_(weight.rows, weight.columns),
        clip_(start_.size(), 1.0f) {}

  AffineMatrix run() {
    AffineMatrix best = now_;
    double least = std::numeric_limits<double>::infinity();
    for (int step = 0;; ++step) {
      round();
      const Matrix gradient = product(pool_, error_, gram_);
      const double loss = loss_of(gradient);
      if (loss < least) {
        least = loss;
        best = now_;
      }
      if (step == steps_) return best;
      const float rate =
          (1.0f - static_cast<float>(step) / static_cast<float>(steps_)) / static_cast<float>(steps_);
      descend(gradient, 2.0f * kMostShift * rate);
    }
  }

 private:
  std::size_t group_at(std::int64_t row, std::int64_t group) const {
    return static_cast<std::size_t>(row * now_.groups() + group);
  }
  std::int64_t group_end(std::int64_t group) const {
    return std::min((group + 1) * now_.group_size, weight_.columns);
  }

  /// Codes, scales and errors for the present shifts and clips.
  void round() {
    pool_.each(weight_.rows, [&](std::int64_t row, int /*worker*/) {
      for (std::int64_t group = 0; group < now_.groups(); ++group) {
        const std::size_t at = group_at(row, group);
        now_.scales[at] = f16_to_f32(f32_to_f16(start_[at] * clip_[at]));
        const float scale = now_.scales[at];
        const auto zero = static_cast<float>(now_.zeros[at]);
        for (std::int64_t i = group * now_.group_size; i < group_end(group); ++i) {
          const float wanted = weight_.row(row)[i];
          const float code =
              std::clamp(std::nearbyint(wanted / scale + shift_.row(row)[i]) + zero, 0.0f, top_);
          now_.codes[static_cast<std::size_t>(row * weight_.columns + i)] = static_cast<std::uint8_t>(code);
          error_.row(row)[i] = scale * (code - zero) - wanted;
        }
      }
    });
  }

  double loss_of(const Matrix& gradient) const {
    double loss = 0;
    for (std::size_t i = 0; i < gradient.values.size(); ++i) {
      loss += static_cast<double>(gradient.values[i]) * static_cast<double>(error_.values[i]);
    }
    return loss;
  }

  /// One signed step; rounding counts as the identity in the gradient (straight through), and a clamped code
  /// does not move.
  void descend(const Matrix& gradient, float rate) {
    pool_.each(weight_.rows, [&](std::int64_t row, int /*worker*/) {
      for (std::int64_t group = 0; group < now_.groups(); ++group) {
        const std::size_t at = group_at(row, group);
        const auto zero = static_cast<float>(now_.zeros[at]);
        double by_scale = 0;
        for (std::int64_t i = group * now_.group_size; i < group_end(group); ++i) {
          const float slope = gradient.row(row)[i];
          const auto code =
              static_cast<float>(now_.codes[static_cast<std::size_t>(row * weight_.columns + i)]);
          const float unclamped = weight_.row(row)[i] / now_.scales[at] + zero;
          const bool clamped = unclamped < -kMostShift || unclamped > top_ + kMostShift;
          const float inside = clamped ? 0.0f : weight_.row(row)[i] / now_.scales[at];
          by_scale += static_cast<double>(slope) * static_cast<double>(code - zero - inside);
          float& shift = shift_.row(row)[i];
          if (slope != 0.0f && !clamped) {
            shift = std::clamp(shift - std::copysign(rate, slope), -kMostShift, kMostShift);
          }
        }
        if (by_scale != 0) {
          const auto step =
              static_cast<float>(std::copysign(static_cast<double>(kClipRate * rate), by_scale));
          clip_[at] = std::clamp(clip_[at] - step, kLeastClip, kMostClip);
        }
      }
    });
  }

  kernels::ThreadPool& pool_;
  const Matrix& weight_;
  const Matrix& gram_;
  int steps_;
  AffineMatrix now_;
  std::vector<float> start_;  ///< scales before any clip was learnt
  float top_;
  Matrix shift_;  ///< of each weight before it is rounded, in steps of its grid
  Matrix error_;
  std::vector<float> clip_;  ///< factor of each group's scale
};

WeightSettings settle(WeightSettings asked) {
  constexpr int kSteps = 200;
  if (asked.steps == 0) asked.steps = kSteps;
  return settle_gptq_layout(asked);
}

QuantizedWeight quantize(kernels::ThreadPool& pool, const Linear& linear, const StageInputs* inputs,
                         const WeightSettings& settings) {
  const AffineMatrix matrix = Learner(pool, linear.weight, inputs->gram, settings).run();
  return formats::pack_gptq(matrix, settings.gptq_version.value());
}

nlohmann::json config(const WeightSettings& settings, const std::vector<std::string>& kept) {
  return gptq_layout_config(settings, false, kept);
}

}  // namespace

WeightMethod autoround_method() {
  return {"autoround", "--bits --group-size --granularity --asymmetric --no-clip --checkpoint-format --steps",
          needs_gram,  settle,
          nullptr,     one_by_one<quantize>,
          {2, 3.6},    config};
}

}  // namespace stepdown::quant
