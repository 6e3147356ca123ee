#include "operator/gateway/http/server.h"

#include <optional>
#include <set>

#include <boost/asio/ip/tcp.hpp>

#include "engine/base/error.h"
#include "operator/gateway/count.h"
#include "operator/gateway/http/server_connection.h"

namespace stepdown::gateway {
namespace {

using asio::redirect_error;
using asio::use_awaitable;
using asio::ip::tcp;
using boost::system::error_code;

}  // namespace

struct HttpServer::State : std::enable_shared_from_this<HttpServer::State> {
  State(asio::io_context& context, Limits l, Handler h)
      : io(context), acceptor(context), limits(l), handler(std::move(h)) {}

  void listen(const Address& address);
  Task<> accept();
  Task<> serve(tcp::socket socket);

  asio::io_context& io;
  tcp::acceptor acceptor;
  Limits limits;
  Handler handler;
  std::set<ServerConnection*> idle;  // waiting for a next request
  std::size_t connections = 0;
  std::size_t active = 0;
  bool draining = false;
};

void HttpServer::State::listen(const Address& address) {
  error_code code;
  const auto ip = asio::ip::make_address(address.host, code);
  if (code) throw InputError("not an IP address", "--host " + address.host, "give one such as 0.0.0.0 or ::");
  const tcp::endpoint endpoint(ip, address.port);
  acceptor.open(endpoint.protocol(), code);
  if (!code) acceptor.set_option(tcp::acceptor::reuse_address(true), code);
  if (!code) acceptor.bind(endpoint, code);
  if (!code) acceptor.listen(asio::socket_base::max_listen_connections, code);
  if (code) throw Error("cannot listen: " + code.message(), address.text(), "is another server there?");
}

Task<> HttpServer::State::accept() {
  const auto self = shared_from_this();
  while (!draining) {
    error_code code;
    tcp::socket socket = co_await acceptor.async_accept(redirect_error(use_awaitable, code));
    if (code == asio::error::operation_aborted || draining) co_return;
    if (code) {  // out of descriptors: wait for some to come free
      asio::steady_timer pause(io, std::chrono::milliseconds(50));
      co_await pause.async_wait(redirect_error(use_awaitable, code));
      continue;
    }
    if (connections >= limits.connections) continue;
    socket.set_option(tcp::no_delay(true), code);
    asio::co_spawn(io, serve(std::move(socket)), asio::detached);
  }
}

Task<> HttpServer::State::serve(tcp::socket socket) {
  const auto self = shared_from_this();
  const Counted counted(connections);
  ServerConnection connection(std::move(socket), limits);
  while (!draining) {
    idle.insert(&connection);
    const bool more = co_await connection.await_request();
    idle.erase(&connection);
    if (!more) co_return;
    std::optional<ServerConnection::Incoming> incoming = co_await connection.read_request();
    if (!incoming) break;
    const Counted answering(active);
    const bool another = co_await connection.answer(std::move(*incoming), !draining, handler);
    if (!another) break;
  }
  co_await connection.close();
}

HttpServer::HttpServer(asio::io_context& io, const Address& address, Limits limits, Handler handler)
    : state_(std::make_shared<State>(io, limits, std::move(handler))) {
  state_->listen(address);
  asio::co_spawn(io, state_->accept(), asio::detached);
}

HttpServer::~HttpServer() {
  drain();
}

std::uint16_t HttpServer::port() const {
  return state_->acceptor.local_endpoint().port();
}
std::size_t HttpServer::active() const {
  return state_->active;
}

void HttpServer::drain() {
  if (state_->draining) return;
  state_->draining = true;
  error_code ignored;
  state_->acceptor.close(ignored);
  for (ServerConnection* connection : state_->idle) connection->stop_waiting();
}

}  // namespace stepdown::gateway
