#include "engine/quant/memory_estimate.h"

#include <algorithm>

namespace stepdown::quant {
namespace {

constexpr std::int64_t kF32 = 4;
constexpr std::int64_t kF16 = 2;
constexpr std::int64_t kSlabs = 2 * (8 << 20);  // of encoded rows, one written while the next is filled

struct Sizes {
  std::int64_t block = 0;           ///< elements of a block's matrices
  std::int64_t largest_matrix = 0;  ///< of those
  std::int64_t widest_input = 0;    ///< columns of those
  std::int64_t rest = 0;            ///< elements outside the blocks
  std::int64_t largest_rest = 0;
  std::int64_t largest_tensor = 0;  ///< bytes as stored
};

Sizes sizes_of(const formats::ModelFile& model) {
  Sizes sizes;
  for (const TensorView& tensor : model.tensors()) {
    const std::int64_t elements = tensor.rows() * tensor.columns();
    sizes.largest_tensor = std::max(sizes.largest_tensor, static_cast<std::int64_t>(tensor.data.size()));
    if (!tensor.name.starts_with("blk.")) {
      sizes.rest += elements;
      sizes.largest_rest = std::max(sizes.largest_rest, elements);
    } else if (tensor.name.starts_with("blk.0.")) {
      sizes.block += elements;
      sizes.largest_matrix = std::max(sizes.largest_matrix, elements);
      sizes.widest_input = std::max(sizes.widest_input, tensor.columns());
    }
  }
  return sizes;
}

/// Residual streams of all prompts, and what one of them takes on its way through a block: gate, up, their
/// product, its copy for the kernels, and the packed weight that it is multiplied with.
std::int64_t prompts_memory(const formats::ModelConfig& config, const Sizes& sizes,
                            const CalibrationSet& prompts) {
  const std::int64_t streams = prompts.tokens() * config.hidden * kF32;
  return streams + prompts.longest() * 4 * sizes.widest_input * kF32 + sizes.largest_matrix * kF32;
}

}  // namespace

std::int64_t gguf_working_memory(const formats::ModelFile& model, const CalibrationSet* prompts) {
  const Sizes sizes = sizes_of(model);
  const std::int64_t writing = 2 * sizes.largest_tensor + kSlabs;  // pages of this tensor and the next
  if (prompts == nullptr) return writing;
  return std::max(writing, sizes.block * (kF32 + kF16) + prompts_memory(model.config(), sizes, *prompts));
}

std::int64_t export_working_memory(const formats::ModelFile& model, Needs needs,
                                   const CalibrationSet* prompts) {
  const Sizes sizes = sizes_of(model);
  // The block as floats, its mapped pages, and what is written of it; then the rest as binary16.
  std::int64_t block = sizes.block * (kF32 + kF16 + 1);
  std::int64_t rest = sizes.rest * kF16 + sizes.largest_rest * (kF32 + kF16);
  if (needs == Needs::kNothing || prompts == nullptr) return std::max(block, rest);
  // The Gram matrix, its reordered copy, and three on the way to the inverse's factor.
  constexpr std::int64_t kSquares = 5;
  const std::int64_t squares =
      needs == Needs::kGram ? kSquares * sizes.widest_input * sizes.widest_input * kF32 : 0;
  const std::int64_t streams = prompts->tokens() * model.config().hidden * kF32;
  return std::max(block + prompts_memory(model.config(), sizes, *prompts) + squares, rest + streams);
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
