#include "engine/server/heartbeat.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

namespace stepdown::server {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::chrono::nanoseconds heartbeat_pause(std::chrono::nanoseconds step) {
  return std::max<std::chrono::nanoseconds>(2s, 200 * step);
}

Heartbeat::Heartbeat(runtime::Engine& engine) : engine_(engine), thread_([this] { run(); }) {}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool Heartbeat::alive() const {
  // Long prompts of large models take seconds a step, so an engine at work gets more time than an idle one.
  const runtime::EngineStats stats = engine_.stats();
  const std::chrono::nanoseconds limit = stats.running > 0 ? 60s : pause_.load() + 8s;
  return stats.last_step != Clock::time_point{} && Clock::now() - stats.last_step < limit;
}

bool Heartbeat::stuck() const {
  const runtime::EngineStats stats = engine_.stats();
  const bool busy = stats.running > 0 || stats.waiting > 0;
  return busy && Clock::now() - std::max(stats.last_step, started_) > 180s;
}

void Heartbeat::run() {
  // Shared with the engine's callback. The quickest probe tells what a step takes: others waited, or were the
  // first.
  struct Probe {
    std::atomic<bool> pending{false};
    std::atomic<std::chrono::nanoseconds> quickest{std::chrono::nanoseconds::max()};
  };
  const auto probe = std::make_shared<Probe>();
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (const auto step = probe->quickest.load(); step != std::chrono::nanoseconds::max())
      pause_ = heartbeat_pause(step);
    const runtime::EngineStats stats = engine_.stats();
    const bool idle =
        stats.running == 0 && stats.waiting == 0 && Clock::now() - stats.last_step > pause_.load();
    if (idle && !probe->pending.exchange(true)) {
      runtime::GenerateRequest request;
      request.prompt = {0};
      request.max_tokens = 1;
      request.on_event = [probe, begun = Clock::now()](const runtime::TokenEvent& event) {
        if (!event.finish) return;
        probe->quickest = std::min<std::chrono::nanoseconds>(probe->quickest, Clock::now() - begun);
        probe->pending = false;
      };
      if (engine_.submit(std::move(request)).refusal) probe->pending = false;
    }
    wake_.wait_for(lock, 250ms, [this] { return stop_; });
  }
}

}  // namespace stepdown::server
