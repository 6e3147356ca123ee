#include "engine/quant/worker_pool.h"

#include <algorithm>
#include <utility>

#include <sched.h>

namespace stepdown::quant {
namespace {

int usable_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

WorkerPool::WorkerPool(int threads) {
  const int count = threads > 0 ? threads : usable_cores();
  for (int i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    count_ = next_;
  }
  started_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::start(std::size_t count, std::function<void(std::size_t)> work) {
  {
    const std::lock_guard lock(mutex_);
    work_ = std::move(work);
    next_ = 0;
    count_ = count;
    failure_ = nullptr;
  }
  started_.notify_all();
}

void WorkerPool::wait() {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [this] { return next_ == count_ && busy_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void WorkerPool::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    started_.wait(lock, [this] { return stopping_ || next_ < count_; });
    if (next_ >= count_) return;
    const std::size_t index = next_++;
    ++busy_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      work_(index);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    --busy_;
    if (failure && !failure_) {
      failure_ = failure;
      next_ = count_;
    }
    if (next_ == count_ && busy_ == 0) finished_.notify_all();
  }
}

}  // namespace stepdown::quant
