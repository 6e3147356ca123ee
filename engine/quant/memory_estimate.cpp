#include "engine/quant/memory_estimate.h"

#include <algorithm>

#include "engine/kernels/packing.h"
#include "engine/quant/calibration/prompt_streams.h"

namespace stepdown::quant {
namespace {

constexpr std::int64_t kF32 = 4;
constexpr std::int64_t kF16 = 2;
constexpr std::int64_t kSlabs = 2 * (8 << 20);  // of encoded rows, one written while the next is filled

struct Sizes {
  std::int64_t block = 0;           ///< elements of a block's tensors
  std::int64_t largest_matrix = 0;  ///< of those; of experts one alone
  std::int64_t widest_input = 0;    ///< columns of those
  std::int64_t widest_output = 0;
  std::int64_t rest = 0;  ///< elements outside the blocks
  std::int64_t largest_rest = 0;
  std::int64_t largest_tensor = 0;  ///< bytes as stored
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
      sizes.largest_matrix = std::max(sizes.largest_matrix, elements / parts);
      sizes.widest_input = std::max(sizes.widest_input, tensor.columns());
      if (tensor.shape.size() > 1) sizes.widest_output = std::max(sizes.widest_output, tensor.rows() / parts);
    }
  }
  return sizes;
}

/// Residual streams of all prompts.
std::int64_t streams_memory(const formats::ModelFile& model, const CalibrationSet& prompts) {
  return prompts.tokens() * model.config().hidden * kF32;
}

/// Tokens that go through a block together.
std::int64_t tokens_together(const CalibrationSet& prompts) {
  return std::min(prompts.tokens(), std::max(prompts.longest(), kTokensTogether));
}

/// What such prompts take on their way through a block: what goes in, gate and up, and the weight that they
/// are multiplied with, in order for the kernels. Gate and up in one matrix are taken apart behind it.
std::int64_t prompt_memory(const formats::ModelFile& model, const Sizes& sizes,
                           const CalibrationSet& prompts) {
  const bool joined = model.config().experts == 0 && model.find("blk.0.ffn_gate.weight") == nullptr;
  const std::int64_t row = tokens_together(prompts) * kF32;
  const std::int64_t once = row * (model.config().hidden + sizes.widest_output);
  const std::int64_t twice = once + row * sizes.widest_output;
  const std::int64_t weight = sizes.largest_matrix * kF32;
  return joined ? std::max(once + weight, twice) : twice + weight;
}

/// What layers read that is not computed twice: whole batches of it.
std::int64_t kept_memory(const formats::ModelFile& model, const Sizes& sizes, const CalibrationSet& prompts) {
  const formats::ModelConfig& config = model.config();
  const std::int64_t attended = config.heads * config.head_dim;
  const std::int64_t width = config.experts > 0 ? attended : std::max(attended, sizes.widest_input);
  const std::int64_t batch = tokens_together(prompts) * width * kF32;
  const std::int64_t all = prompts.tokens() * width * kF32;
  return all <= kKeptBytes ? all : kKeptBytes / batch * batch;
}

}  // namespace

std::int64_t gguf_working_memory(const formats::ModelFile& model, const CalibrationSet* prompts) {
  const Sizes sizes = sizes_of(model);
  const std::int64_t writing = sizes.largest_tensor + kSlabs;
  if (prompts == nullptr) return writing;
  return std::max(writing, sizes.block * kF32 + streams_memory(model, *prompts) +
                               kept_memory(model, sizes, *prompts) + prompt_memory(model, sizes, *prompts));
}

std::int64_t export_working_memory(const formats::ModelFile& model, const WeightMethod& method,
                                   const WeightSettings& settings, const CalibrationSet* prompts) {
  const Sizes sizes = sizes_of(model);
  const Needs needs = prompts == nullptr ? Needs::kNothing : method.needs(settings);
  // The block as floats and what is written of it, scales included.
  const auto written =
      static_cast<std::int64_t>(static_cast<double>(sizes.block) * (settings.bits + 0.5) / 8);
  const std::int64_t square = sizes.widest_input * sizes.widest_input * kF32;
  const auto copies =
      static_cast<std::int64_t>(method.footprint.copies * static_cast<double>(sizes.largest_matrix * kF32));
  const std::int64_t streams = needs == Needs::kNothing ? 0 : streams_memory(model, *prompts);
  std::int64_t most = written + copies + (needs == Needs::kGram ? method.footprint.squares * square : 0);
  if (needs != Needs::kNothing) {
    const std::int64_t gram =
        needs == Needs::kGram
            ? square + std::min(prompts->longest(), kernels::kPanelColumns) * 2 * sizes.widest_input * kF32
            : 0;
    most = std::max(most, written + prompt_memory(model, sizes, *prompts) + gram) +
           kept_memory(model, sizes, *prompts);
  }
  // Then the rest as binary16, one tensor of it as floats.
  const std::int64_t rest = sizes.rest * kF16 + sizes.largest_rest * (kF32 + kF16);
  return streams + std::max(sizes.block * kF32 + most, rest);
}

std::int64_t training_working_memory(const formats::ModelFile& model, const CalibrationSet& prompts) {
  const Sizes sizes = sizes_of(model);
  // Teacher, student, weights that are learnt, two moments, gradients; codes; a state that is written.
  constexpr std::int64_t kCopies = 6 + 3;
  const std::int64_t layers = model.config().layers;
  const std::int64_t weights = layers * sizes.block * (kCopies * kF32 + 1) + 4 * sizes.largest_rest * kF32;
  const std::int64_t tape = layers * prompts.longest() * 10 * sizes.widest_input * kF32;
  const std::int64_t logits = 3 * prompts.longest() * model.config().vocab * kF32;
  return weights + tape + logits + prompts.tokens() * model.config().hidden * kF32;
}

}  // namespace stepdown::quant
