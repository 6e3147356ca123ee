#pragma once

#include <functional>
#include <memory>

namespace stepdown {

/// Turns SIGTERM and SIGINT into a flag and a call. Make one at the start of a server's main, before any
/// thread: it blocks the signals and waits for them on a thread of its own, which the destructor joins.
class Shutdown {
 public:
  Shutdown();
  ~Shutdown();
  Shutdown(const Shutdown&) = delete;
  Shutdown& operator=(const Shutdown&) = delete;

  /// Called once, from the waiting thread (or at once if it was asked already).
  void on_request(std::function<void()> action);
  bool requested() const;
  /// Blocks until a signal came or request() was called.
  void wait();
  /// Asks as a signal would.
  void request();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown
