#include "engine/base/shutdown.h"

#include <condition_variable>
#include <csignal>
#include <ctime>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace stepdown {

struct Shutdown::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool requested = false;
  bool stopping = false;
  std::vector<std::function<void()>> actions;
  std::thread waiter;
};

Shutdown::Shutdown() : state_(std::make_unique<State>()) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  state_->waiter = std::thread([this, set] {
    const timespec tick{0, 100'000'000};
    for (;;) {
      const bool signalled = sigtimedwait(&set, nullptr, &tick) > 0;
      if (signalled) request();
      const std::lock_guard lock(state_->mutex);
      if (state_->stopping) return;
    }
  });
}

Shutdown::~Shutdown() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->waiter.join();
}

void Shutdown::request() {
  std::vector<std::function<void()>> actions;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->requested) return;
    state_->requested = true;
    actions = std::move(state_->actions);
  }
  state_->changed.notify_all();
  for (const auto& action : actions) action();
}

void Shutdown::on_request(std::function<void()> action) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->requested) {
      state_->actions.push_back(std::move(action));
      return;
    }
  }
  action();
}

bool Shutdown::requested() const {
  const std::lock_guard lock(state_->mutex);
  return state_->requested;
}

void Shutdown::wait() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->requested; });
}

}  // namespace stepdown
