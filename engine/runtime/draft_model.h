#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/decoder.h"
#include "engine/runtime/page_cache.h"
#include "engine/runtime/row_logits.h"
#include "engine/runtime/sequence.h"

namespace stepdown::runtime {

/// A cheaper model of the same vocabulary that guesses what another will say, mostly that one quantized
/// (speculative decoding, Leviathan et al. 2023). A guess is drawn from this model's logits with the very
/// random number that the other's own draw will use, so that the two mostly agree and nothing but the time
/// depends on it. One thread at a time.
class DraftModel {
 public:
  /// `options`, of the model it guesses for, with defaults resolved; `vocabulary` is that model's. Throws
  /// InputError when it cannot run, has other tokens or a shorter context.
  DraftModel(std::unique_ptr<formats::ModelFile> file, const formats::TokenizerData& vocabulary,
             const EngineOptions& options, std::int64_t pages, kernels::ThreadPool& pool);

  struct Wish {
    Sequence* sequence;
    std::int64_t most;  ///< tokens
  };
  /// Fills the sequences' drafts, which are empty before. Takes in at most a chunk of text that it has not
  /// seen, so that long prompts come without guesses for some steps.
  void propose(std::span<const Wish> wishes);
  /// Forgets the guesses that did not hold: the sequence's tokens are final now.
  void settle(Sequence& sequence);
  void release(Sequence& sequence);

 private:
  struct Guess;
  std::vector<Guess> take_in(std::span<const Wish> wishes);
  /// One step over all guesses: each gets the logits behind its last token.
  void step(std::vector<Guess>& guesses);

  std::unique_ptr<formats::ModelFile> file_;
  kernels::ThreadPool& pool_;
  std::unique_ptr<model::Decoder> decoder_;
  RowLogits rows_;
  PageCache pages_;
  std::int64_t chunk_;
};

}  // namespace stepdown::runtime
