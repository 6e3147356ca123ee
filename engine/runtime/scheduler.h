#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "engine/kernels/thread_pool.h"
#include "engine/model/decoder.h"
#include "engine/runtime/client_turns.h"
#include "engine/runtime/draft_model.h"
#include "engine/runtime/page_cache.h"
#include "engine/runtime/sequence.h"

namespace stepdown::runtime {

/// That can wait and be decoded at one time.
std::size_t most_sequences(const EngineOptions& options);

/// The engine's thread: admits waiting sequences, runs steps, samples, tells the requests' callbacks.
class Scheduler {
 public:
  /// `options` with defaults resolved. The references must outlive it, and `draft_model` unless it is null.
  Scheduler(const EngineOptions& options, const formats::ModelConfig& config, model::Decoder& decoder,
            DraftModel* draft_model, kernels::ThreadPool& pool, const tokenizer::Tokenizer& tokenizer,
            std::int64_t pages);
  /// Ends every sequence with kCancelled.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Engine::SubmittedAll submit(std::vector<GenerateRequest> requests);
  Engine::SubmittedAll submit(std::vector<EmbedRequest> requests);
  /// Scores or embeds the tokens, as `purpose` says.
  std::future<std::vector<float>> measure(std::span<const TokenId> tokens, Purpose purpose);
  void cancel(Engine::RequestId id);
  EngineStats stats() const;

 private:
  using Owned = std::unique_ptr<Sequence>;

  void run();
  /// Waits for work and takes in what arrived; false when it is time to stop.
  bool take_in();
  /// Moves waiting sequences to the running ones while there is room.
  void admit();
  bool has_room_for(const Sequence& sequence) const;
  void enqueue(Owned sequence);  ///< with the mutex held
  /// All of them, where there is room.
  Engine::SubmittedAll enqueue(std::vector<Owned> sequences);

  void step();
  /// Gives prompts the pages of their beginning that others computed since they were admitted.
  void catch_up();
  /// Guesses the next tokens of the sequences that are about to decode.
  void draft();
  /// Tokens that may be guessed for it now.
  std::int64_t draft_room(const Sequence& sequence) const;
  /// Sequences of this step that got their pages, the lowest ranks stepping back where there are too few.
  std::vector<StepShare> allot(std::vector<StepShare> shares);
  void preempt(Sequence& sequence);
  void release(Sequence& sequence);
  model::SequenceSlice slice_of(const StepShare& share) const;
  void sample(const std::vector<StepShare>& shares);
  void tell(Sequence& sequence);
  void end(Sequence& sequence, FinishReason reason);
  void remove_finished();
  void publish();

  const EngineOptions options_;
  const std::int64_t vocab_;
  const std::int64_t hidden_;
  model::Decoder& decoder_;
  DraftModel* draft_model_;  ///< null: guesses come from the text alone
  kernels::ThreadPool& pool_;
  const tokenizer::Tokenizer& tokenizer_;
  const kernels::Operations& operations_ = kernels::operations();

  // The engine thread's own.
  PageCache pages_;
  std::vector<Owned> running_;
  RowLogits choice_rows_{decoder_, vocab_};
  std::vector<float> logits_;  ///< of rows that are measured
  EngineStats counted_;
  double typical_answer_ = 0.0;  ///< tokens, a moving mean; 0: none has ended yet

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Owned> waiting_;  ///< by rank
  std::set<Engine::RequestId> cancelled_;
  EngineStats stats_;
  Engine::RequestId next_id_ = 1;
  ClientTurns turns_;
  bool stop_ = false;

  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace stepdown::runtime
