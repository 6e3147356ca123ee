#include "operator/gateway/http/hang_up.h"

namespace stepdown::gateway {
namespace {

using boost::system::error_code;
using Socket = boost::asio::ip::tcp::socket;

constexpr std::size_t kMostPending = 64U << 10U;  // bytes
constexpr std::size_t kPiece = 4096;

}  // namespace

struct HangUpWatch::State : std::enable_shared_from_this<HangUpWatch::State> {
  State(Socket& s, boost::beast::flat_buffer& b) : socket(s), pending(b) {}

  void wait() {
    socket.async_wait(Socket::wait_read, [self = shared_from_this()](const error_code& code) {
      if (!self->over) self->look(code);
    });
  }

  void look(error_code code) {
    std::size_t got = 0;
    if (!code) got = socket.read_some(pending.prepare(kPiece), code);
    if (code && code != boost::asio::error::would_block) {
      gone.request_stop();
      return;
    }
    pending.commit(got);
    if (pending.size() < kMostPending) wait();
  }

  Socket& socket;
  boost::beast::flat_buffer& pending;
  std::stop_source gone;
  bool over = false;
};

HangUpWatch::HangUpWatch(Socket& socket, boost::beast::flat_buffer& pending)
    : state_(std::make_shared<State>(socket, pending)) {
  error_code code;
  socket.non_blocking(true, code);
  state_->wait();
}

HangUpWatch::~HangUpWatch() {
  state_->over = true;
  error_code ignored;
  state_->socket.cancel(ignored);
}

std::stop_token HangUpWatch::gone() const {
  return state_->gone.get_token();
}

}  // namespace stepdown::gateway
