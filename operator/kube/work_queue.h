#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include "operator/kube/object.h"

namespace stepdown::kube {

/// Keys that await work. A key stands in it once, however often it is added; a key added while it is worked
/// on comes again after done(). Two workers never hold the same key. Safe from any thread.
class WorkQueue {
 public:
  using Clock = std::chrono::steady_clock;

  enum class Priority { kNormal, kLow };  ///< low: initial lists and resyncs; served when no normal key waits

  struct Options {
    std::chrono::milliseconds base_delay{5};  ///< first retry of a key; doubles with each
    std::chrono::milliseconds longest_delay{300'000};
    double retries_per_second = 10;  ///< all keys' retries together: a token bucket
    double burst = 100;
    std::function<Clock::time_point()> now = [] { return Clock::now(); };
  };

  WorkQueue();
  explicit WorkQueue(Options options);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  void add(const ObjectKey& key, Priority priority = Priority::kNormal);
  /// At the earliest of all delays asked for the key.
  void add_after(const ObjectKey& key, std::chrono::milliseconds delay);
  /// After a failure: waits longer each time until forget().
  void retry(const ObjectKey& key);
  /// A success: the next retry() starts from base_delay.
  void forget(const ObjectKey& key);
  /// How often retry() was called since the last forget().
  int failures(const ObjectKey& key) const;

  /// The next due key, without waiting.
  std::optional<ObjectKey> try_pop();
  /// Waits for a key; nullopt once `stop` is asked.
  std::optional<ObjectKey> pop(std::stop_token stop);
  /// Ends the work that pop() began; each popped key needs one.
  void done(const ObjectKey& key);

  /// Keys that are due now.
  std::size_t depth() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::kube
