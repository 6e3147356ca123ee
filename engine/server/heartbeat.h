#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/runtime/engine.h"

namespace stepdown::server {

/// How long an idle engine rests between two steps of its own, of which one takes `step`: at least two
/// seconds, and for large models so long that idleness costs half a percent of the machine.
std::chrono::nanoseconds heartbeat_pause(std::chrono::nanoseconds step);

/// Keeps an idle engine stepping, so that readiness is a matter of fact: after a pause without a step it asks
/// for one token of its own.
class Heartbeat {
 public:
  explicit Heartbeat(runtime::Engine& engine);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  /// A forward step ended lately.
  bool alive() const;
  /// There is work, and no step of it has ended for minutes: only a new process helps.
  bool stuck() const;

 private:
  void run();

  runtime::Engine& engine_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::atomic<std::chrono::nanoseconds> pause_{heartbeat_pause({})};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace stepdown::server
