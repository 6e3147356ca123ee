#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace stepdown::kernels {

/// Workers for one step's parallel loops. The caller works too; `threads` counts it. Between the loops of a
/// step workers spin for a few microseconds, since a wake by the kernel costs more than a small matrix; then
/// they sleep. A loop ends once its work is done: it never waits for a worker that is still waking up.
class ThreadPool {
 public:
  /// Throws Error when the system does not give that many.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(index, worker) once for each index below `count`, worker in 0…threads()−1; returns when all
  /// are done. One caller at a time; the body must not throw.
  template <class Body>
  void each(std::int64_t count, const Body& body) {
    run(count, {&body, [](const void* context, std::int64_t index, int worker) {
                  (*static_cast<const Body*>(context))(index, worker);
                }});
  }

 private:
  void stop();
  struct Job {
    const void* context = nullptr;
    void (*call)(const void*, std::int64_t, int) = nullptr;
  };
  void run(std::int64_t count, Job job);
  void take_all(int worker);
  void work(int worker);
  /// A state other than `seen`, or 0 to stop.
  std::uint64_t await_change(std::uint64_t seen);

  Job job_;
  std::int64_t count_ = 0;
  alignas(64) std::atomic<std::int64_t> next_{0};
  alignas(64) std::atomic<std::uint64_t> state_{0};  ///< rises with every loop: odd while it may be joined
  alignas(64) std::atomic<int> joined_{0};           ///< workers that have not left the loop
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  int sleeping_ = 0;
  std::vector<std::thread> workers_;
};

/// Processors this process may use: its affinity, and its control group's CPU quota where there is one.
int usable_processors();

}  // namespace stepdown::kernels
