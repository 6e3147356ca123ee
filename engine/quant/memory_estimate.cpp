#include "engine/quant/memory_estimate.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "engine/base/system_facts.h"
#include "engine/kernels/packing.h"
#include "engine/quant/calibration/prompt_streams.h"
#include "engine/quant/calibration/sensitivity.h"
#include "engine/quant/preset.h"
#include "engine/quant/training/quantization_aware.h"

namespace stepdown::quant {
namespace {

constexpr std::int64_t kF32 = 4;
constexpr std::int64_t kF16 = 2;
constexpr std::int64_t kSlabs = 2 * (8 << 20);  // of encoded rows, one written while the next is filled

/// The linear layers of a block that read at one stage; elements.
struct StageSize {
  std::int64_t all = 0;
  std::int64_t largest = 0;  ///< matrix; of experts one alone
  std::int64_t largest_tensor = 0;
  std::int64_t columns = 0;
};

struct Sizes {
  std::int64_t block = 0;  ///< elements of a block's tensors
  std::array<StageSize, kStages.size()> stages;
  std::int64_t rest = 0;  ///< elements outside the blocks
  std::int64_t largest_rest = 0;
  std::int64_t largest_tensor = 0;  ///< bytes as stored

  std::int64_t largest_matrix() const { return std::ranges::max(stages, {}, &StageSize::largest).largest; }
};

Sizes sizes_of(const formats::ModelFile& model) {
  Sizes sizes;
  for (const TensorView& tensor : model.tensors()) {
    const std::int64_t elements = tensor.rows() * tensor.columns();
    const std::int64_t parts = tensor.shape.size() > 2 ? tensor.shape.front() : 1;
    sizes.largest_tensor = std::max(sizes.largest_tensor, static_cast<std::int64_t>(tensor.data.size()));
    if (!tensor.name.starts_with("blk.")) {
      sizes.rest += elements;
      sizes.largest_rest = std::max(sizes.largest_rest, elements);
    } else if (tensor.name.starts_with("blk.0.")) {
      sizes.block += elements;
      if (tensor.shape.size() < 2 || tensor.name == "blk.0.ffn_gate_inp.weight") continue;
      StageSize& stage = sizes.stages[static_cast<std::size_t>(stage_of(tensor.name.substr(6)))];
      stage.all += elements;
      stage.largest = std::max(stage.largest, elements / parts);
      stage.largest_tensor = std::max(stage.largest_tensor, elements);
      stage.columns = tensor.columns();
    }
  }
  return sizes;
}

/// Prompts on their way through a block.
class Passage {
 public:
  Passage(const formats::ModelFile& model, const Sizes& sizes, const std::vector<std::int64_t>& lengths)
      : config_(model.config()),
        sizes_(sizes),
        joined_(config_.experts == 0 && model.find("blk.0.ffn_gate.weight") == nullptr),
        longest_(std::ranges::max(lengths)) {
    auto next = lengths.begin();
    for (const std::size_t count : prompts_together(lengths)) {
      const auto end = next + static_cast<std::ptrdiff_t>(count);
      batches_.push_back(std::accumulate(next, end, std::int64_t{0}));
      next = end;
    }
  }

  /// Residual streams of all prompts.
  std::int64_t streams() const {
    return std::accumulate(batches_.begin(), batches_.end(), std::int64_t{0}) * config_.hidden * kF32;
  }

  /// From the streams to what a stage reads: rows, and the weight that they are multiplied with, in order for
  /// the kernels.
  std::int64_t way(Stage stage) const {
    const std::int64_t hidden = config_.hidden;
    const std::int64_t queries = config_.heads * config_.head_dim;
    const std::int64_t keys = config_.kv_heads * config_.head_dim;
    if (stage == Stage::kAttentionInput) return row(hidden);
    if (stage == Stage::kAttentionOutput)
      return std::max(row(hidden + 2 * queries + 2 * keys),
                      row(hidden + queries) + tiles(Stage::kAttentionInput));
    if (config_.experts > 0) {
      // Experts are not chosen evenly: one may well get twice its share.
      const std::int64_t own = std::min(config_.experts, 2 * config_.experts_used);
      const std::int64_t units = at(Stage::kFeedForwardOutput).columns;
      return row(2 * hidden) + row(2 * hidden + 2 * units) * own / config_.experts +
             tiles(Stage::kFeedForwardInput);
    }
    if (stage == Stage::kFeedForwardInput) return row(hidden);
    const std::int64_t units = at(Stage::kFeedForwardOutput).columns;
    const std::int64_t product = row(hidden + 2 * units) + tiles(Stage::kFeedForwardInput);
    return joined_ ? std::max(product, row(hidden + 4 * units))
                   : product;  // then gate and up are taken apart
  }

  /// What a stage reads and is not computed twice: whole batches of it. All of them, or those before the
  /// last.
  std::int64_t kept(Stage stage, bool with_last) const {
    const bool leads_on =
        stage == Stage::kAttentionOutput || (stage == Stage::kFeedForwardOutput && config_.experts == 0);
    if (!leads_on) return 0;
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i + (with_last ? 0 : 1) < batches_.size(); ++i) {
      const std::int64_t more = batches_[i] * at(stage).columns * kF32;
      if (bytes + more > kKeptBytes) break;
      bytes += more;
    }
    return bytes;
  }

  /// What the way through a block takes, beside the block and the streams.
  std::int64_t most() const {
    std::int64_t most = 0;
    for (const Stage stage : kStages)
      most = std::max({most, kept(stage, false) + way(stage), kept(stage, true) + output(stage)});
    return most;
  }

  /// While the inputs' Gram matrix grows by those of a prompt.
  std::int64_t gram_rows(Stage stage) const {
    return row(at(stage).columns) + std::min(longest_, kernels::kPanelColumns) * 2 * at(stage).columns * kF32;
  }

  /// Behind the stage: its output, and the weight in order.
  std::int64_t output(Stage stage) const { return row(config_.hidden) + tiles(stage); }

 private:
  const StageSize& at(Stage stage) const { return sizes_.stages[static_cast<std::size_t>(stage)]; }
  std::int64_t row(std::int64_t floats) const { return *std::ranges::max_element(batches_) * floats * kF32; }
  std::int64_t tiles(Stage stage) const { return at(stage).largest * kF32; }

  const formats::ModelConfig& config_;
  const Sizes& sizes_;
  bool joined_;
  std::int64_t longest_;
  std::vector<std::int64_t> batches_;  ///< tokens
};

}  // namespace

std::uint64_t peak_with(std::int64_t working) {
  return std::max(peak_memory_bytes(), resident_memory_bytes() + static_cast<std::uint64_t>(working));
}

std::int64_t gguf_working_memory(const formats::ModelFile& model, const CalibrationSet* prompts) {
  const Sizes sizes = sizes_of(model);
  const std::int64_t writing = sizes.largest_tensor + kSlabs;
  if (prompts == nullptr) return writing;
  const Passage passage(model, sizes, prompts->lengths());
  return std::max(writing, sizes.block * kF32 + passage.streams() + passage.most());
}

std::int64_t sensitivity_working_memory(const formats::ModelFile& model, const CalibrationSet& prompts) {
  const Sizes sizes = sizes_of(model);
  const Passage passage(model, sizes, sensitivity_sample(model, prompts).lengths);
  const std::int64_t changed = std::ranges::count_if(model.tensors(), may_quantize);
  const std::int64_t streams = (changed + 1) * passage.streams();
  const std::int64_t exact_weight =
      std::ranges::max(sizes.stages, {}, &StageSize::largest_tensor).largest_tensor;
  // Then the output matrix a part at a time: it, it rounded, it in order for the kernels, and three parts of
  // logits.
  const std::int64_t hidden = model.config().hidden;
  const std::int64_t part = std::min(kSensitivityHeadRows, model.config().vocab);
  const std::int64_t head = part * (3 * hidden + 3 * passage.streams() / (hidden * kF32)) * kF32;
  return streams + std::max((sizes.block + exact_weight) * kF32 + passage.most(), head);
}

std::int64_t export_working_memory(const formats::ModelFile& model, const WeightMethod& method,
                                   const WeightSettings& settings, const CalibrationSet* prompts) {
  const Sizes sizes = sizes_of(model);
  const Needs needs = prompts == nullptr ? Needs::kNothing : method.needs(settings);
  const auto copies = [&](std::int64_t matrix) {
    return static_cast<std::int64_t>(method.footprint.copies * static_cast<double>(matrix * kF32));
  };
  // What is written of a block, scales included.
  const auto written = [&](std::int64_t elements) {
    return static_cast<std::int64_t>(static_cast<double>(elements) * (settings.bits + 0.5) / 8);
  };
  // Last comes the rest as binary16, one tensor of it as floats.
  const std::int64_t rest = sizes.rest * kF16 + sizes.largest_rest * (kF32 + kF16);
  if (needs == Needs::kNothing)
    return std::max(sizes.block * kF32 + written(sizes.block) + copies(sizes.largest_matrix()), rest);

  const Passage passage(model, sizes, prompts->lengths());
  std::int64_t most = 0;
  std::int64_t done = 0;
  for (const Stage stage : kStages) {
    const StageSize& size = sizes.stages[static_cast<std::size_t>(stage)];
    const std::int64_t square = size.columns * size.columns * kF32;
    const bool gram = needs == Needs::kGram;
    const std::int64_t seeing =
        gram ? square + std::max(passage.way(stage), passage.gram_rows(stage)) : passage.way(stage);
    if (method.prepare != nullptr) {
      most = std::max(most, written(done) + method.footprint.preparing_squares * square +
                                method.footprint.preparing_rows * size.columns * kF32);
    }
    most = std::max(most, written(done) + passage.kept(stage, false) + seeing);
    done += size.all;
    const std::int64_t quantizing = (gram ? method.footprint.squares * square : 0) + copies(size.largest);
    most = std::max(most,
                    written(done) + passage.kept(stage, true) + std::max(quantizing, passage.output(stage)));
  }
  return passage.streams() + std::max(sizes.block * kF32 + most, rest);
}

std::int64_t training_working_memory(const formats::ModelFile& model, const WeightSettings& settings,
                                     const CalibrationSet& prompts) {
  const Sizes sizes = sizes_of(model);
  const formats::ModelConfig& config = model.config();
  const std::int64_t tokens = longest_trained(prompts, settings.steps);
  const std::int64_t hidden = tokens * config.hidden * kF32;
  const std::int64_t units = tokens * config.feed_forward * kF32;
  const std::int64_t queries = tokens * config.heads * config.head_dim * kF32;
  const std::int64_t keys = tokens * config.kv_heads * config.head_dim * kF32;
  const std::int64_t matrix = sizes.largest_matrix() * kF32;
  const std::int64_t head = config.vocab * config.hidden * kF32;
  // Teacher, student, weights that are learnt, two moments, gradients; codes with a scale and a zero a group.
  constexpr std::int64_t kCopies = 6;
  constexpr std::int64_t kGrid = 4 + 2;
  const std::int64_t grids = settings.group_size > 0 ? sizes.block / settings.group_size * kGrid : 0;
  const std::int64_t weights = config.layers * (sizes.block * (kCopies * kF32 + 1) + grids) + 2 * head;
  const std::int64_t tape = config.layers * (4 * hidden + 2 * queries + 2 * keys + 3 * units) + 2 * hidden;
  const std::int64_t logits = 2 * tokens * config.vocab * kF32;
  // On the way back: through the head, or through the widest matrix, which is turned and put in order for the
  // kernels, or made a gradient.
  const std::int64_t behind_head = head + 2 * hidden;
  const std::int64_t behind_block =
      2 * hidden + 2 * units + std::max(2 * matrix + hidden, matrix + units + 2 * hidden);
  return weights + tape + logits + std::max(behind_head, behind_block);
}

}  // namespace stepdown::quant
