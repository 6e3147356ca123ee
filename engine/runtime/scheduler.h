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
#include "engine/runtime/page_pool.h"
#include "engine/runtime/sequence.h"

namespace stepdown::runtime {

/// The engine's thread: admits waiting sequences, runs steps, samples, tells the requests' callbacks.
class Scheduler {
 public:
  /// `options` with defaults resolved. The references must outlive it.
  Scheduler(const EngineOptions& options, std::int64_t vocab, model::Decoder& decoder,
            kernels::ThreadPool& pool, const tokenizer::Tokenizer& tokenizer, std::int64_t pages);
  /// Ends every sequence with kCancelled.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Engine::Submitted submit(GenerateRequest request);
  std::future<std::vector<float>> score(std::span<const TokenId> tokens);
  void cancel(Engine::RequestId id);
  EngineStats stats() const;

 private:
  using Owned = std::unique_ptr<Sequence>;

  void run();
  /// Waits for work and takes in what arrived; false when it is time to stop.
  bool take_in();
  void step();
  void sample(const std::vector<StepShare>& shares);
  void score_rows(Sequence& sequence, std::int64_t first_row, std::int64_t count);
  void settle(Sequence& sequence, std::span<const float> logits, TokenId token,
              const kernels::Distribution& distribution);
  void finish(Sequence& sequence, FinishReason reason);
  void finish_scoring(Sequence& sequence);
  void remove_finished();
  void publish();

  const EngineOptions options_;
  const std::int64_t vocab_;
  model::Decoder& decoder_;
  kernels::ThreadPool& pool_;
  const tokenizer::Tokenizer& tokenizer_;
  const kernels::Operations& operations_ = kernels::operations();

  // The engine thread's own.
  PagePool free_pages_;
  std::vector<Owned> running_;
  std::vector<float> logits_;
  EngineStats counted_;

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Owned> waiting_;
  std::set<Engine::RequestId> cancelled_;
  EngineStats stats_;
  Engine::RequestId next_id_ = 1;
  bool stop_ = false;

  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace stepdown::runtime
