#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/calibration/decoder_block.h"
#include "engine/quant/calibration/stage_inputs.h"

namespace stepdown::quant {

/// Tokens of prompts that go through a block together: a weight is put in order for the kernels once for all.
inline constexpr std::int64_t kTokensTogether = 1024;
/// Of what linear layers read, so that it need not be computed twice.
inline constexpr std::int64_t kKeptBytes = std::int64_t{256} << 20;

/// How many prompts of these lengths pass a block together, one time after the other.
std::vector<std::size_t> prompts_together(std::span<const std::int64_t> lengths,
                                          std::int64_t tokens_together = kTokensTogether);

/// The calibration prompts on their way through the model, block by block.
class PromptStreams {
 public:
  PromptStreams() = default;
  PromptStreams(const formats::ModelFile& model, const CalibrationSet& prompts);
  /// `streams`: what the first block reads of each prompt.
  explicit PromptStreams(std::vector<Matrix> streams, std::int64_t tokens_together = kTokensTogether,
                         std::int64_t kept_bytes = kKeptBytes);
  bool empty() const { return batches_.empty(); }
  /// Where the prompts are between two blocks: the numbers that a run which goes on begins with.
  std::vector<std::span<float>> values();

  /// What the place's linears read, as the block is now.
  StageInputs observe(kernels::ThreadPool& pool, const DecoderBlock& block, Place place,
                      bool with_gram) const;
  /// The same for a stage that advance() comes to next, before what leads to these inputs changes: they are
  /// kept for it, as far as memory allows.
  StageInputs observe_and_keep(kernels::ThreadPool& pool, const DecoderBlock& block, Place place,
                               bool with_gram);
  /// Behind the stage.
  void advance(kernels::ThreadPool& pool, const DecoderBlock& block, Stage stage);

 private:
  struct Batch {
    Matrix rows;  ///< the residual stream, a prompt behind the other
    std::vector<std::int64_t> lengths;
  };
  void join(std::span<const std::int64_t> lengths, std::int64_t tokens_together,
            const std::function<Matrix(std::size_t)>& stream);
  static Matrix see(kernels::ThreadPool& pool, const DecoderBlock& block, Place place, const Batch& batch,
                    Observer& observer);

  std::int64_t kept_bytes_ = kKeptBytes;
  std::vector<Batch> batches_;
  std::vector<Matrix> kept_;  ///< of the first batches
};

}  // namespace stepdown::quant
