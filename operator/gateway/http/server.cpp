#include "operator/gateway/http/server.h"

#include <optional>
#include <set>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "engine/base/error.h"
#include "operator/gateway/count.h"

namespace stepdown::gateway {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::redirect_error;
using asio::use_awaitable;
using asio::ip::tcp;
using boost::system::error_code;

using RequestParser = http::request_parser<http::string_body>;

Request from_beast(http::request<http::string_body>&& in) {
  Request request;
  request.method = std::string(in.method_string());
  request.target = std::string(in.target());
  for (const auto& field : in) {
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  request.body = std::move(in.body());
  return request;
}

template <class Body>
void set_headers(http::response<Body>& out, const Headers& headers) {
  for (const Header& header : headers) out.insert(header.name, header.value);
}

// The answer to a request that could not be read; empty when the client just went away.
std::optional<Response> refusal(const error_code& code, const HttpServer::Limits& limits) {
  const auto bad = [](int status, std::string_view name, const std::string& message) {
    return error_response(status, "invalid_request_error", name, message);
  };
  if (code == http::error::body_limit) {
    return bad(413, "request_too_large",
               "the body is over " + std::to_string(limits.body) + " bytes; send less");
  }
  if (code == http::error::header_limit) {
    return bad(431, "headers_too_large", "the headers are over " + std::to_string(limits.header) + " bytes");
  }
  if (code == beast::error::timeout)
    return bad(408, "request_timeout", "the request did not come in in time");
  if (code == http::error::end_of_stream || code == http::error::partial_message) return std::nullopt;
  if (code.category() == http::make_error_code(http::error::bad_method).category()) {
    return bad(400, "malformed_http", "not a valid HTTP/1.1 request: " + code.message());
  }
  return std::nullopt;
}

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
  std::set<beast::tcp_stream*> idle;  // waiting for a next request
  std::size_t connections = 0;
  std::size_t active = 0;
  bool draining = false;
};

namespace {

class BeastExchange final : public Exchange {
 public:
  BeastExchange(beast::tcp_stream& stream, Request request, bool keep_alive, std::chrono::seconds patience)
      : stream_(stream), request_(std::move(request)), keep_alive_(keep_alive), patience_(patience) {}

  const Request& request() const override { return request_; }
  bool keep_alive() const { return keep_alive_ && answered_; }

  Task<> respond(Response response) override {
    http::response<http::string_body> out{static_cast<http::status>(response.status), 11};
    set_headers(out, response.headers);
    out.keep_alive(keep_alive_);
    out.body() = std::move(response.body);
    out.prepare_payload();
    error_code code;
    stream_.expires_after(patience_);
    co_await http::async_write(stream_, out, redirect_error(use_awaitable, code));
    answered_ = !code;
  }

  Task<bool> begin(int status, const Headers& headers) override {
    http::response<http::empty_body> out{static_cast<http::status>(status), 11};
    set_headers(out, headers);
    out.keep_alive(keep_alive_);
    out.chunked(true);
    http::response_serializer<http::empty_body> serializer(out);
    error_code code;
    stream_.expires_after(patience_);
    co_await http::async_write_header(stream_, serializer, redirect_error(use_awaitable, code));
    co_return !code;
  }

  Task<bool> write(std::string_view bytes) override {
    error_code code;
    stream_.expires_after(patience_);
    co_await asio::async_write(stream_, http::make_chunk(asio::buffer(bytes.data(), bytes.size())),
                               redirect_error(use_awaitable, code));
    co_return !code;
  }

  Task<bool> end() override {
    error_code code;
    stream_.expires_after(patience_);
    co_await asio::async_write(stream_, http::make_chunk_last(), redirect_error(use_awaitable, code));
    answered_ = !code;
    co_return answered_;
  }

 private:
  beast::tcp_stream& stream_;
  Request request_;
  bool keep_alive_;
  bool answered_ = false;
  std::chrono::seconds patience_;
};

void close(beast::tcp_stream& stream) {
  error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

}  // namespace

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
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer;
  while (!draining) {
    RequestParser parser;
    parser.body_limit(limits.body);
    parser.header_limit(static_cast<std::uint32_t>(limits.header));
    error_code code;
    if (buffer.size() == 0) {  // wait for the first byte with more patience than for the rest
      idle.insert(&stream);
      stream.expires_after(limits.idle);
      const std::size_t got =
          co_await stream.async_read_some(buffer.prepare(4096), redirect_error(use_awaitable, code));
      idle.erase(&stream);
      if (code) co_return;
      buffer.commit(got);
    }
    stream.expires_after(limits.request);
    co_await http::async_read(stream, buffer, parser, redirect_error(use_awaitable, code));
    const Counted answering(active);
    if (code) {
      std::optional<Response> response = refusal(code, limits);
      if (response) {
        BeastExchange exchange(stream, Request{}, false, limits.idle);
        co_await exchange.respond(std::move(*response));
      }
      break;
    }
    const bool keep_alive = parser.get().keep_alive() && !draining;
    BeastExchange exchange(stream, from_beast(parser.release()), keep_alive, limits.idle);
    co_await handler(exchange);
    if (!exchange.keep_alive()) break;
  }
  close(stream);
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
  for (beast::tcp_stream* stream : state_->idle) stream->cancel();
}

}  // namespace stepdown::gateway
