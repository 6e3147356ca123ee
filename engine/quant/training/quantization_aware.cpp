#include "engine/quant/training/quantization_aware.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <random>

#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/quant/kept_state.h"
#include "engine/quant/linear_algebra.h"
#include "engine/quant/methods/affine_rounding.h"
#include "engine/quant/training/adam.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using formats::AffineMatrix;
using Seconds = std::chrono::duration<double>;

constexpr int kPromptsAStep = 4;
constexpr int kGridSteps = 20;  // that one set of grids lasts
constexpr int kStateSteps =
    60;  // between two states; a multiple of kGridSteps, so that grids need no keeping
constexpr float kWarmUp = 0.05f;           // share of the steps in which the rate rises
constexpr std::size_t kProbePrompts = 16;  // that the loss before and behind the training is of
constexpr double kNoLoss = 1e-5;           // nats a token: a rise that nobody would see

/// What is kept of a run: little, then all weights with their moments.
struct Progressed {
  std::int32_t step = 0;
  double seconds = 0;
  double first_loss = 0;
};

/// The prompts of one step: epochs one after another, each in an order of its own.
std::vector<std::size_t> batch(std::int32_t step, std::size_t prompts) {
  std::vector<std::size_t> chosen;
  for (int k = 0; k < kPromptsAStep; ++k) {
    const auto index = static_cast<std::size_t>(step * kPromptsAStep + k);
    std::vector<std::size_t> order(prompts);
    std::iota(order.begin(), order.end(), 0);
    std::mt19937_64 random(index / prompts);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    chosen.push_back(order[index % prompts]);
  }
  return chosen;
}

/// Prompts spread over all.
std::vector<std::size_t> probe(std::size_t prompts) {
  std::vector<std::size_t> chosen(std::min(kProbePrompts, prompts));
  for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = i * prompts / chosen.size();
  return chosen;
}

class Training {
 public:
  Training(const formats::ModelFile& model, const CalibrationSet& prompts, const WeightSettings& settings,
           const TrainingLimits& limits, int threads, fs::path state)
      : settings_(settings),
        limits_(limits),
        state_(std::move(state)),
        pool_(threads > 0 ? threads : kernels::usable_processors()),
        model_(model),
        prompts_(prompts),
        teacher_(model),
        student_(teacher_),
        adam_(teacher_),
        gradient_(teacher_.zeros()) {
    for (const DecoderBlock& block : teacher_.blocks()) {
      auto& layer = weights_.emplace_back();
      for (const Linear& linear : block.linears()) layer.push_back(linear.weight);
    }
  }

  Trained run() {
    restore();
    if (progressed_.step == 0) begin();
    const auto began = limits_.now();
    const double before = progressed_.seconds;
    Trained result;
    Progress progress("train", static_cast<std::uint64_t>(limits_.steps), " steps");
    progress.skip(static_cast<std::uint64_t>(progressed_.step));
    while (progressed_.step < limits_.steps) {
      progressed_.seconds = before + Seconds(limits_.now() - began).count();
      result.out_of_time = progressed_.seconds >= limits_.time.count();
      if (result.out_of_time) break;
      if (progressed_.step % kStateSteps == 0 && progressed_.step > 0) save();
      if (progressed_.step % kGridSteps == 0) find_grids();
      const double loss = learn();
      if (!std::isfinite(loss)) refuse(loss);
      ++progressed_.step;
      progress.note("loss " + std::to_string(loss));
      progress.advance();
    }
    if (progressed_.step > 0) {
      find_grids();
      round();
      result.last_loss = loss_of(probe(prompts_.samples()));
      if (!(result.last_loss <= 1.1 * progressed_.first_loss + kNoLoss)) refuse(result.last_loss);
    }
    result.weights = std::move(weights_);
    result.steps = progressed_.step;
    result.seconds = progressed_.seconds;
    result.first_loss = progressed_.first_loss;
    return result;
  }

 private:
  template <class Visit>
  void each_weight(Visit visit) {
    for (std::size_t layer = 0; layer < weights_.size(); ++layer) {
      for (std::size_t i = 0; i < weights_[layer].size(); ++i) visit(layer, i);
    }
  }

  /// The grids that these weights would be exported with.
  void find_grids() {
    grids_.resize(weights_.size());
    each_weight([&](std::size_t layer, std::size_t i) {
      grids_[layer].resize(weights_[layer].size());
      grids_[layer][i] = round_to_nearest(pool_, weights_[layer][i], settings_.group_size,
                                          {settings_.bits, settings_.symmetric, settings_.search_clip});
    });
  }

  /// The student's weights: the learnt ones as their grids round them.
  void round() {
    each_weight([&](std::size_t layer, std::size_t i) {
      const Matrix& from = weights_[layer][i];
      const AffineMatrix& grids = grids_[layer][i];
      Matrix& to = student_.blocks()[layer].linears()[i].weight;
      pool_.each(from.rows, [&](std::int64_t row, int /*worker*/) {
        for (std::int64_t column = 0; column < from.columns; ++column) {
          const auto at = static_cast<std::size_t>(row * grids.groups() + column / grids.group_size);
          const IntegerGrid grid{grids.scales[at], grids.zeros[at], (1 << settings_.bits) - 1};
          to.row(row)[column] = grid.rounded(from.row(row)[column]);
        }
      });
    });
  }

  float rate() const {
    const float done = static_cast<float>(progressed_.step) / static_cast<float>(limits_.steps);
    const float warm = std::min(1.0f, (done + 1e-3f) / kWarmUp);
    return limits_.rate * warm * 0.5f * (1.0f + std::cos(std::numbers::pi_v<float> * done));
  }

  /// What is lost by rounding alone.
  void begin() {
    find_grids();
    round();
    progressed_.first_loss = loss_of(probe(prompts_.samples()));
    if (!std::isfinite(progressed_.first_loss)) {
      throw InputError("the model's answers to the calibration prompts are not finite", "--model",
                       "evaluate it unquantized: it is not sound");
    }
  }

  /// Of the student as it is rounded; `use` gets the loss by its logits, prompt by prompt.
  double loss_of(const std::vector<std::size_t>& prompts,
                 const std::function<void(const Matrix& by_logits)>& use = {}) {
    double loss = 0;
    for (const std::size_t prompt : prompts) {
      const Matrix embedded = prompts_.stream(model_, prompt);
      const Matrix wanted = teacher_.forward(pool_, embedded, tape_);
      Matrix logits = student_.forward(pool_, embedded, tape_);
      loss += distill(wanted, logits) / static_cast<double>(prompts.size());
      if (use) use(logits);
    }
    return loss;
  }

  double learn() {
    round();
    for (auto& layer : gradient_) {
      for (Matrix& matrix : layer) std::ranges::fill(matrix.values, 0.0f);
    }
    const double loss = loss_of(batch(progressed_.step, prompts_.samples()), [&](const Matrix& by_logits) {
      student_.backward(pool_, tape_, by_logits, gradient_);
    });
    adam_.step(pool_, progressed_.step + 1, rate(), gradient_, weights_);
    return loss;
  }

  [[noreturn]] void refuse(double loss) const {
    throw InputError("training made the model worse: its loss rose from " +
                         std::to_string(progressed_.first_loss) + " to " + std::to_string(loss),
                     "--learning-rate", "lower it, or use autoround or gptq, which need none");
  }

  /// Everything that is kept, in the file's order.
  template <class Visit>
  void each_kept(Visit visit) {
    for (LayerWeights* part : {&weights_, &adam_.mean(), &adam_.square()}) {
      for (auto& layer : *part) {
        for (Matrix& matrix : layer) visit(matrix.values);
      }
    }
  }

  void save() {
    std::vector<std::span<const float>> numbers;
    each_kept([&](const std::vector<float>& values) { numbers.emplace_back(values); });
    if (state_.empty()) return;
    const bool kept = keep_state(
        state_,
        {{"step", progressed_.step}, {"seconds", progressed_.seconds}, {"firstLoss", progressed_.first_loss}},
        numbers);
    if (!kept) state_.clear();  // nor would the next find room
  }

  void restore() {
    Progressed kept;
    const nlohmann::json head =
        take_up_state(state_, [&](const nlohmann::json& kept_head, std::size_t /*numbers*/) {
          kept = {kept_head.at("step"), kept_head.at("seconds"), kept_head.at("firstLoss")};
          std::vector<std::span<float>> places;
          each_kept([&](std::vector<float>& values) { places.emplace_back(values); });
          return places;
        });
    if (!head.is_null()) progressed_ = kept;
  }

  const WeightSettings& settings_;
  const TrainingLimits& limits_;
  fs::path state_;
  kernels::ThreadPool pool_;
  const formats::ModelFile& model_;
  const CalibrationSet& prompts_;
  Network teacher_;
  Network student_;
  Network::Tape tape_;
  LayerWeights weights_;  ///< that are learnt
  std::vector<std::vector<AffineMatrix>> grids_;
  Adam adam_;
  LayerWeights gradient_;
  Progressed progressed_;
};

}  // namespace

std::int64_t longest_trained(const CalibrationSet& prompts, int steps) {
  const std::vector<std::int64_t> lengths = prompts.lengths();
  // In one epoch every prompt has its turn.
  const int looked_at = std::min(steps, static_cast<int>(lengths.size() / kPromptsAStep) + 1);
  std::int64_t longest = 0;
  for (const std::size_t prompt : probe(lengths.size())) longest = std::max(longest, lengths[prompt]);
  for (int step = 0; step < looked_at; ++step) {
    for (const std::size_t prompt : batch(step, lengths.size())) longest = std::max(longest, lengths[prompt]);
  }
  return longest;
}

Trained train(const formats::ModelFile& model, const CalibrationSet& prompts, const WeightSettings& settings,
              const TrainingLimits& limits, int threads, const fs::path& state) {
  return Training(model, prompts, settings, limits, threads, state).run();
}

}  // namespace stepdown::quant
