#pragma once

#include <array>
#include <cstddef>
#include <list>
#include <memory>
#include <stop_token>

#include "operator/gateway/http/asio.h"

namespace stepdown::gateway {

/// Who goes first to an engine that has no room: retries, whose client waits for the second time; then first
/// tries; shadows only take room that nobody waits for.
enum class Priority { kRetry, kFirst, kShadow };

/// Bounds the requests under way to one revision; the rest wait their turn, by priority and then by arrival,
/// up to `most_waiting`. For one thread.
class Gate : public std::enable_shared_from_this<Gate> {
 public:
  Gate(asio::io_context& io, std::size_t most_waiting) : io_(io), most_waiting_(most_waiting) {}

  /// Room held until destroyed.
  class Pass {
   public:
    Pass() = default;
    explicit Pass(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {}
    Pass(Pass&& other) noexcept = default;
    Pass& operator=(Pass&& other) noexcept;
    ~Pass();
    explicit operator bool() const { return gate_ != nullptr; }

   private:
    std::shared_ptr<Gate> gate_;
  };

  void set_room(std::size_t room);
  /// An empty pass: too many wait already (a shadow never waits), or `deadline` or `gone` came first.
  Task<Pass> enter(Priority priority, SteadyTime deadline, std::stop_token gone = {});
  std::size_t waiting() const { return queues_[0].size() + queues_[1].size(); }

 private:
  struct Waiter {
    explicit Waiter(asio::io_context& io) : timer(io) {}
    asio::steady_timer timer;
    bool admitted = false;
  };
  void leave();
  void admit();

  asio::io_context& io_;
  std::size_t most_waiting_;
  std::size_t room_ = 0;
  std::size_t inside_ = 0;
  std::array<std::list<Waiter*>, 2> queues_;  // of retries, of first tries
};

}  // namespace stepdown::gateway
