#include "engine/kernels/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <string>
#include <system_error>

#include <sched.h>

#include "engine/base/error.h"

namespace stepdown::kernels {
namespace {

// Long enough to bridge the serial work between two loops of a step, short enough to cost nothing when idle.
constexpr std::chrono::microseconds kSpin{50};
constexpr int kPausesPerLook = 64;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// Spins until ready() or the time is up; says whether it is ready.
template <class Ready>
bool spin(const Ready& ready) {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  try {
    for (int worker = 1; worker < threads; ++worker) {
      workers_.emplace_back([this, worker] { work(worker); });
    }
  } catch (const std::system_error& error) {
    const std::size_t started = workers_.size();
    stop();
    throw Error("only " + std::to_string(started) + " of " + std::to_string(threads) +
                    " threads could be started (" + error.code().message() + ")",
                "thread pool", "ask for fewer --threads");
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::int64_t count, Job job) {
  if (count <= 1 || workers_.empty()) {
    for (std::int64_t i = 0; i < count; ++i) job.call(job.context, i, 0);
    return;
  }
  job_ = job;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  bool asleep = false;
  {
    const std::lock_guard lock(mutex_);  // a worker that is about to sleep sees the loop or is counted
    ++state_;
    asleep = sleeping_ > 0;
  }
  if (asleep) wake_.notify_all();
  take_all(0);
  ++state_;
  const auto done = [this] { return joined_ == 0; };
  while (!spin(done)) std::this_thread::yield();
}

void ThreadPool::take_all(int worker) {
  for (;;) {
    const std::int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
    if (index >= count_) return;
    job_.call(job_.context, index, worker);
  }
}

std::uint64_t ThreadPool::await_change(std::uint64_t seen) {
  const auto changed = [&] { return state_ != seen || stop_; };
  if (!spin(changed)) {
    std::unique_lock lock(mutex_);
    ++sleeping_;
    wake_.wait(lock, changed);
    --sleeping_;
  }
  return stop_ ? 0 : state_.load();
}

// All in one order (sequentially consistent): either run() counts a worker that joins, and waits for it, or
// that worker sees that the loop was closed, and touches nothing of it.
void ThreadPool::work(int worker) {
  std::uint64_t seen = 0;
  for (;;) {
    seen = await_change(seen);
    if (seen == 0) return;
    if (seen % 2 == 0) continue;
    ++joined_;
    if (state_ == seen) take_all(worker);
    --joined_;
  }
}

int usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int count = static_cast<int>(std::thread::hardware_concurrency());
  if (::sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
  std::ifstream limit("/sys/fs/cgroup/cpu.max");  // "quota period" or "max period"
  std::string quota;
  double period = 0;
  if (limit >> quota >> period && quota != "max" && period > 0) {
    count = std::min(count, static_cast<int>(std::ceil(std::stod(quota) / period)));
  }
  return std::max(count, 1);
}

}  // namespace stepdown::kernels
