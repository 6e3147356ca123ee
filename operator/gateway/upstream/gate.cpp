#include "operator/gateway/upstream/gate.h"

#include <utility>

namespace stepdown::gateway {

Gate::Pass& Gate::Pass::operator=(Pass&& other) noexcept {
  std::swap(gate_, other.gate_);
  return *this;
}

Gate::Pass::~Pass() {
  if (gate_) gate_->leave();
}

void Gate::set_room(std::size_t room) {
  room_ = room;
  admit();
}

Task<Gate::Pass> Gate::enter(Priority priority, SteadyTime deadline, std::stop_token gone) {
  const std::shared_ptr<Gate> self = shared_from_this();
  if (gone.stop_requested()) co_return Pass();
  if (inside_ < room_ && waiting() == 0) {
    ++inside_;
    co_return Pass(self);
  }
  if (priority == Priority::kShadow || waiting() >= most_waiting_) co_return Pass();
  Waiter waiter(io_);
  waiter.timer.expires_at(deadline);
  std::list<Waiter*>& queue = queues_[priority == Priority::kRetry ? 0 : 1];
  queue.push_back(&waiter);
  const std::stop_callback give_up(gone, [&waiter] { waiter.timer.cancel(); });
  boost::system::error_code ignored;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (waiter.admitted) co_return Pass(self);
  queue.remove(&waiter);
  co_return Pass();
}

void Gate::leave() {
  --inside_;
  admit();
}

void Gate::admit() {
  for (std::list<Waiter*>& queue : queues_) {
    while (!queue.empty() && inside_ < room_) {
      Waiter* next = queue.front();
      queue.pop_front();
      ++inside_;
      next->admitted = true;
      next->timer.cancel();
    }
  }
}

}  // namespace stepdown::gateway
