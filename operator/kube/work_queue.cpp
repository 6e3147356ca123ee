#include "operator/kube/work_queue.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace stepdown::kube {
namespace {

using Clock = WorkQueue::Clock;
using std::chrono::milliseconds;

/// Tokens may be taken in advance: the answer is how long to wait for the one just taken.
class TokenBucket {
 public:
  TokenBucket(double per_second, double burst) : per_second_(per_second), burst_(burst), tokens_(burst) {}

  milliseconds take(Clock::time_point now) {
    if (last_) {
      const double passed = std::chrono::duration<double>(now - *last_).count();
      tokens_ = std::min(burst_, tokens_ + std::max(0.0, passed) * per_second_);
    }
    last_ = now;
    tokens_ -= 1;
    return tokens_ >= 0 ? milliseconds(0) : milliseconds(std::llround(-tokens_ / per_second_ * 1000));
  }

 private:
  double per_second_;
  double burst_;
  double tokens_;
  std::optional<Clock::time_point> last_;
};

}  // namespace

struct WorkQueue::State {
  explicit State(Options o) : options(std::move(o)), bucket(options.retries_per_second, options.burst) {}

  struct Item {
    bool queued = false;
    bool working = false;
    bool again = false;  ///< added while it was worked on
    Priority priority = Priority::kNormal;
    int failures = 0;
    std::optional<Clock::time_point> due;
    bool idle() const { return !queued && !working && !due && failures == 0; }
  };

  std::deque<ObjectKey>& line(Priority priority) { return lines.at(static_cast<std::size_t>(priority)); }

  void enqueue(const ObjectKey& key, Priority priority) {
    Item& item = items[key];
    if (item.due) {
      delayed.erase({*item.due, key});
      item.due.reset();
    }
    if (item.working) {
      item.priority = item.again ? std::min(item.priority, priority) : priority;
      item.again = true;
      return;
    }
    if (item.queued) {
      if (item.priority <= priority) return;
      std::erase(line(item.priority), key);  // it moves up
    }
    item.queued = true;
    item.priority = priority;
    line(priority).push_back(key);
    ready.notify_one();
  }

  void enqueue_after(const ObjectKey& key, milliseconds delay) {
    if (delay <= milliseconds(0)) return enqueue(key, Priority::kNormal);
    Item& item = items[key];
    const auto due = options.now() + delay;
    if (item.queued || (item.due && *item.due <= due)) return;
    if (item.due) delayed.erase({*item.due, key});
    item.due = due;
    delayed.emplace(due, key);
    ready.notify_one();
  }

  void move_due() {
    const auto now = options.now();
    while (!delayed.empty() && delayed.begin()->first <= now)
      enqueue(ObjectKey(delayed.begin()->second), Priority::kNormal);
  }

  std::optional<ObjectKey> take() {
    move_due();
    for (auto& keys : lines) {
      if (keys.empty()) continue;
      ObjectKey key = std::move(keys.front());
      keys.pop_front();
      Item& item = items[key];
      item.queued = false;
      item.working = true;
      return key;
    }
    return std::nullopt;
  }

  void forget_if_idle(const ObjectKey& key) {
    const auto found = items.find(key);
    if (found != items.end() && found->second.idle()) items.erase(found);
  }

  Options options;
  mutable std::mutex mutex;
  std::condition_variable_any ready;
  std::unordered_map<ObjectKey, Item> items;
  std::array<std::deque<ObjectKey>, 2> lines;  ///< by Priority
  std::set<std::pair<Clock::time_point, ObjectKey>> delayed;
  TokenBucket bucket;
};

WorkQueue::WorkQueue() : WorkQueue(Options()) {}
WorkQueue::WorkQueue(Options options) : state_(std::make_unique<State>(std::move(options))) {}
WorkQueue::~WorkQueue() = default;

void WorkQueue::add(const ObjectKey& key, Priority priority) {
  const std::lock_guard lock(state_->mutex);
  state_->enqueue(key, priority);
}

void WorkQueue::add_after(const ObjectKey& key, milliseconds delay) {
  const std::lock_guard lock(state_->mutex);
  state_->enqueue_after(key, delay);
}

void WorkQueue::retry(const ObjectKey& key) {
  const std::lock_guard lock(state_->mutex);
  const int doublings = std::min(state_->items[key].failures++, 40);
  const double delay = std::ldexp(static_cast<double>(state_->options.base_delay.count()), doublings);
  const auto longest = static_cast<double>(state_->options.longest_delay.count());
  const milliseconds own(static_cast<std::int64_t>(std::min(delay, longest)));
  state_->enqueue_after(key, std::max(own, state_->bucket.take(state_->options.now())));
}

void WorkQueue::forget(const ObjectKey& key) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->items.find(key);
  if (found == state_->items.end()) return;
  found->second.failures = 0;
  state_->forget_if_idle(key);
}

int WorkQueue::failures(const ObjectKey& key) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->items.find(key);
  return found == state_->items.end() ? 0 : found->second.failures;
}

std::optional<ObjectKey> WorkQueue::try_pop() {
  const std::lock_guard lock(state_->mutex);
  return state_->take();
}

std::optional<ObjectKey> WorkQueue::pop(std::stop_token stop) {
  std::unique_lock lock(state_->mutex);
  while (!stop.stop_requested()) {
    if (auto key = state_->take()) return key;
    // A wake-up for whatever reason looks again: the queue may have changed, or the next delay may be over.
    bool woken = false;
    const auto wake = [&woken] { return std::exchange(woken, true); };
    if (state_->delayed.empty()) {
      state_->ready.wait(lock, stop, wake);
    } else {
      const auto wait = state_->delayed.begin()->first - state_->options.now();
      state_->ready.wait_for(lock, stop, wait, wake);
    }
  }
  return std::nullopt;
}

void WorkQueue::done(const ObjectKey& key) {
  const std::lock_guard lock(state_->mutex);
  State::Item& item = state_->items[key];
  item.working = false;
  if (std::exchange(item.again, false)) {
    state_->enqueue(key, item.priority);
  } else {
    state_->forget_if_idle(key);
  }
}

std::size_t WorkQueue::depth() const {
  const std::lock_guard lock(state_->mutex);
  state_->move_due();
  return state_->lines[0].size() + state_->lines[1].size();
}

}  // namespace stepdown::kube
