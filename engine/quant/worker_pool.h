#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace stepdown::quant {

/// Threads that run one indexed job at a time in the background.
class WorkerPool {
 public:
  /// 0: as many as this process may use.
  explicit WorkerPool(int threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Runs work(0) … work(count − 1) in any order; returns at once. wait() must come before the next start().
  void start(std::size_t count, std::function<void(std::size_t)> work);
  /// Blocks until all is done; rethrows the first exception.
  void wait();

  std::size_t size() const { return threads_.size(); }

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable started_, finished_;
  std::function<void(std::size_t)> work_;
  std::size_t next_ = 0, count_ = 0, busy_ = 0;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace stepdown::quant
