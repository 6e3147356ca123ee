#include "engine/quant/calibration/sensitivity.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/base/progress.h"
#include "engine/model/scale_and_cap.h"
#include "engine/quant/calibration/answer_divergence.h"
#include "engine/quant/calibration/decoder_block.h"
#include "engine/quant/matrix_product.h"
#include "engine/quant/paced_state.h"
#include "engine/quant/preset.h"

namespace stepdown::quant {
namespace {

constexpr std::int64_t kFewestTokens = 512;
constexpr std::int64_t kMostTokens = 4096;
constexpr std::int64_t kPromptTokens = 128;  // of one prompt: more prompts tell more than longer ones

constexpr const char* kEmbeddings = "token_embd.weight";
constexpr const char* kOutput = "output.weight";

class SensitivityRun {
 public:
  SensitivityRun(kernels::ThreadPool& pool, const formats::ModelFile& model, const CalibrationSet& prompts,
                 const RoundRows& round, const std::filesystem::path& state)
      : pool_(pool),
        model_(model),
        round_(round),
        sample_(sensitivity_sample(model, prompts)),
        state_(state) {
    exact_ = Matrix(sample_.tokens, model.config().hidden);
    float* to = exact_.values.data();
    for (std::size_t i = 0; i < sample_.prompts.size(); ++i) {
      const Matrix stream = prompts.stream(model, sample_.prompts[i]);
      to = std::copy_n(stream.values.data(), sample_.lengths[i] * stream.columns, to);
    }
    const TensorView& embeddings = *model.find(kEmbeddings);
    if (!may_quantize(embeddings)) return;
    Matrix rounded = exact_;
    round_(embeddings, Place::kNoExpert, rounded);
    changed_.push_back({kEmbeddings, std::move(rounded)});
  }

  std::map<std::string, double> run() {
    take_up();
    const std::int64_t layers = model_.config().layers;
    Progress progress("sensitivity", work_until(layers) + head_parts(), " passes");
    progress.skip(work_until(layer_));
    while (layer_ < layers) {
      pass();
      ++layer_;
      if (layer_ == layers || state_.due()) keep();
      progress.advance(work_until(layer_) - work_until(layer_ - 1));
    }
    return compare(progress);
  }

 private:
  /// The residual stream of the sample, since one tensor was rounded.
  struct Changed {
    std::string tensor;
    Matrix stream;
  };

  void pass() {
    DecoderBlock block(model_, layer_, std::ranges::max(sample_.lengths));
    for (Changed& each : changed_) advance(block, each.stream);
    const std::string prefix = "blk." + std::to_string(layer_) + ".";
    std::vector<std::string_view> modules;
    for (const Linear& linear : block.linears()) {
      if (modules.empty() || modules.back() != linear.gguf) modules.push_back(linear.gguf);
    }
    for (const std::string_view module : modules) {
      const TensorView& tensor = *model_.find(prefix + std::string(module) + ".weight");
      std::vector<Matrix> exact;
      for (Linear& linear : block.linears()) {
        if (linear.gguf != module) continue;
        exact.push_back(linear.weight);
        round_(tensor, linear.place.expert, linear.weight);
      }
      changed_.push_back({tensor.name, exact_});
      advance(block, changed_.back().stream);
      auto next = exact.begin();
      for (Linear& linear : block.linears()) {
        if (linear.gguf == module) linear.weight = std::move(*next++);
      }
    }
    advance(block, exact_);
  }

  /// Streams through blocks until this one; each has about the same number of matrices.
  std::uint64_t work_until(std::int64_t layer) const {
    const auto all = static_cast<std::int64_t>(std::ranges::count_if(model_.tensors(), may_quantize));
    const std::int64_t each = all / model_.config().layers;
    return static_cast<std::uint64_t>(layer * (2 + each) + each * layer * (layer - 1) / 2);
  }

  const TensorView& output_matrix() const {
    const TensorView* own = model_.find(kOutput);
    return own != nullptr ? *own : *model_.find(kEmbeddings);
  }
  std::uint64_t head_parts() const {
    return static_cast<std::uint64_t>((output_matrix().rows() + kSensitivityHeadRows - 1) /
                                      kSensitivityHeadRows);
  }

  void advance(const DecoderBlock& block, Matrix& stream) {
    for (const Stage stage : kStages) block.advance(pool_, stage, stream, sample_.lengths);
  }

  void keep() {
    nlohmann::json head = {{"layer", layer_}, {"changed", nlohmann::json::array()}};
    std::vector<std::span<const float>> numbers = {exact_.values};
    for (const Changed& each : changed_) {
      head["changed"].push_back(each.tensor);
      numbers.emplace_back(each.stream.values);
    }
    state_.keep(head, numbers);
  }

  void take_up() {
    Matrix exact = exact_;
    std::vector<Changed> changed;
    const nlohmann::json head = state_.take_up([&](const nlohmann::json& kept_head, std::size_t numbers) {
      std::vector<std::span<float>> places = {exact.values};
      const auto names = kept_head.at("changed").get<std::vector<std::string>>();
      if (names.size() <= numbers / exact.values.size()) changed.resize(names.size());
      for (std::size_t i = 0; i < changed.size(); ++i) {
        changed[i] = {names[i], Matrix(exact.rows, exact.columns)};
        places.emplace_back(changed[i].stream.values);
      }
      return places;
    });
    if (head.is_null()) return;
    layer_ = head.at("layer");
    exact_ = std::move(exact);
    changed_ = std::move(changed);
  }

  /// Through the output matrix, which is itself one of the tensors, or the embeddings'.
  std::map<std::string, double> compare(Progress& progress) {
    const TensorView& head = output_matrix();
    const std::vector<float> norm = load_matrix(model_, "output_norm.weight").values;
    exact_ = normed(exact_, norm, model_.config().rms_eps);
    for (Changed& each : changed_) each.stream = normed(each.stream, norm, model_.config().rms_eps);
    if (head.name == kOutput && may_quantize(head)) changed_.push_back({kOutput, exact_});

    AnswerDivergence divergence(exact_.rows, changed_.size());
    for (std::int64_t first = 0; first < head.rows(); first += kSensitivityHeadRows) {
      const Matrix rows =
          load_rows(model_, head.name, first, std::min(kSensitivityHeadRows, head.rows() - first));
      Matrix rounded = rows;
      if (may_quantize(head)) round_(head, Place::kNoExpert, rounded);
      divergence.add_exact(logits(exact_, rows));
      for (std::size_t i = 0; i < changed_.size(); ++i)
        divergence.add_changed(i,
                               logits(changed_[i].stream, changed_[i].tensor == head.name ? rounded : rows));
      progress.advance();
    }
    std::map<std::string, double> found;
    for (std::size_t i = 0; i < changed_.size(); ++i) found[changed_[i].tensor] = divergence.mean(i);
    return found;
  }

  Matrix logits(const Matrix& stream, const Matrix& rows) {
    Matrix out = product(pool_, stream, rows);
    model::scale_and_cap(out.values, model_.config().logit_scale, model_.config().logit_softcap);
    return out;
  }

  kernels::ThreadPool& pool_;
  const formats::ModelFile& model_;
  const RoundRows& round_;
  SensitivitySample sample_;
  Matrix exact_;  ///< the residual stream of the sample where nothing is rounded
  std::vector<Changed> changed_;
  std::int64_t layer_ = 0;  ///< the next one
  PacedState state_;
};

}  // namespace

SensitivitySample sensitivity_sample(const formats::ModelFile& model, const CalibrationSet& prompts) {
  const auto matrices = static_cast<std::int64_t>(std::ranges::count_if(model.tensors(), may_quantize));
  const std::int64_t wanted =
      std::clamp(2 * prompts.tokens() / std::max<std::int64_t>(1, matrices), kFewestTokens, kMostTokens);
  std::vector<std::int64_t> lengths = prompts.lengths();
  for (std::int64_t& length : lengths) length = std::min(length, kPromptTokens);
  const std::int64_t all = std::reduce(lengths.begin(), lengths.end());
  const auto count = static_cast<std::int64_t>(lengths.size());
  const std::int64_t chosen = std::clamp<std::int64_t>((wanted * count + all - 1) / all, 1, count);
  SensitivitySample sample;
  for (std::int64_t i = 0; i < chosen; ++i) {
    const auto prompt = static_cast<std::size_t>(i * count / chosen);
    sample.prompts.push_back(prompt);
    sample.lengths.push_back(lengths[prompt]);
    sample.tokens += lengths[prompt];
  }
  return sample;
}

std::map<std::string, double> measure_sensitivity(kernels::ThreadPool& pool, const formats::ModelFile& model,
                                                  const CalibrationSet& prompts, const RoundRows& round,
                                                  const std::filesystem::path& state) {
  return SensitivityRun(pool, model, prompts, round, state).run();
}

}  // namespace stepdown::quant
