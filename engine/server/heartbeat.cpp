#include "engine/server/heartbeat.h"

#include <algorithm>
#include <chrono>

namespace stepdown::server {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

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
  const auto limit = stats.running > 0 ? 60s : 10s;
  return stats.last_step != Clock::time_point{} && Clock::now() - stats.last_step < limit;
}

bool Heartbeat::stuck() const {
  const runtime::EngineStats stats = engine_.stats();
  const bool busy = stats.running > 0 || stats.waiting > 0;
  return busy && Clock::now() - std::max(stats.last_step, started_) > 180s;
}

void Heartbeat::run() {
  const auto pending = std::make_shared<std::atomic<bool>>(false);  // shared with the engine's callback
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const runtime::EngineStats stats = engine_.stats();
    const bool idle = stats.running == 0 && stats.waiting == 0 && Clock::now() - stats.last_step > 2s;
    if (idle && !pending->exchange(true)) {
      runtime::GenerateRequest probe;
      probe.prompt = {0};
      probe.max_tokens = 1;
      probe.on_event = [pending](const runtime::TokenEvent& event) {
        if (event.finish) *pending = false;
      };
      if (engine_.submit(std::move(probe)).refusal) *pending = false;
    }
    wake_.wait_for(lock, 250ms, [this] { return stop_; });
  }
}

}  // namespace stepdown::server
