#include "operator/gateway/http/server_connection.h"

#include <array>

#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/gateway/http/hang_up.h"

namespace stepdown::gateway {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::redirect_error;
using asio::use_awaitable;
using asio::ip::tcp;
using boost::system::error_code;

using RequestParser = http::request_parser<http::string_body>;

// Beyond a header and what is pipelined: a parser that wants more in one piece is being led on.
constexpr std::size_t kMostBuffered = 128U << 10U;
constexpr std::chrono::seconds kLinger{1};
constexpr std::size_t kMostLingering = 64U << 20U;

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

Response bad(int status, std::string_view name, const std::string& message) {
  return error_response(status, "invalid_request_error", name, message);
}

// The answer to a request that could not be read; empty when the client just went away.
std::optional<Response> refusal(const error_code& code, const HttpServer::Limits& limits) {
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

// What the parser lets through although nobody can be sure where the request ends or whom it is for (RFC
// 9112 3.2, 6.1, RFC 9110 10.1.1).
std::optional<Response> refusal(const http::request<http::string_body>& header) {
  const auto codings = header.count(http::field::transfer_encoding);
  if (codings > 0 && header.version() < 11)
    return bad(400, "malformed_http", "HTTP/1.0 has no Transfer-Encoding");
  if (codings > 1 || (codings == 1 && !beast::iequals(header[http::field::transfer_encoding], "chunked"))) {
    return bad(501, "unsupported_transfer_encoding", "only Transfer-Encoding: chunked is understood");
  }
  const auto hosts = header.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && header.version() == 11))
    return bad(400, "malformed_http", "a request has one Host header");
  const auto expect = header[http::field::expect];
  if (!expect.empty() && !beast::iequals(expect, "100-continue"))
    return bad(417, "expectation_failed", "only Expect: 100-continue is understood");
  return std::nullopt;
}

class ConnectionExchange final : public Exchange {
 public:
  ConnectionExchange(beast::tcp_stream& stream, const ServerConnection::Incoming& incoming, bool keep_alive,
                     std::stop_token gone, std::chrono::seconds patience)
      : stream_(stream),
        incoming_(incoming),
        keep_alive_(keep_alive),
        gone_(std::move(gone)),
        patience_(patience) {}

  const Request& request() const override { return incoming_.request; }
  std::stop_token gone() const override { return gone_; }
  bool begun() const { return begun_; }
  bool keep_alive() const { return keep_alive_ && answered_; }

  Task<> respond(Response response) override {
    http::response<http::string_body> out{static_cast<http::status>(response.status), incoming_.version};
    set_headers(out, response.headers);
    out.body() = std::move(response.body);
    out.prepare_payload();
    if (incoming_.request.method == "HEAD") out.body().clear();  // its length stays
    error_code code;
    stream_.expires_after(patience_);
    co_await http::async_write(stream_, out, redirect_error(use_awaitable, code));
    answered_ = !code;
  }

  Task<bool> begin(int status, const Headers& headers) override {
    http::response<http::empty_body> out{static_cast<http::status>(status), incoming_.version};
    if (!chunked()) keep_alive_ = false;  // its end is the connection's
    set_headers(out, headers);
    out.chunked(chunked());
    http::response_serializer<http::empty_body> serializer(out);
    error_code code;
    stream_.expires_after(patience_);
    co_await http::async_write_header(stream_, serializer, redirect_error(use_awaitable, code));
    co_return !code;
  }

  Task<bool> write(std::string_view bytes) override {
    const asio::const_buffer data(bytes.data(), bytes.size());
    error_code code;
    stream_.expires_after(patience_);
    if (chunked()) {
      co_await asio::async_write(stream_, http::make_chunk(data), redirect_error(use_awaitable, code));
    } else {
      co_await asio::async_write(stream_, data, redirect_error(use_awaitable, code));
    }
    co_return !code;
  }

  Task<bool> end() override {
    error_code code;
    if (chunked()) {
      stream_.expires_after(patience_);
      co_await asio::async_write(stream_, http::make_chunk_last(), redirect_error(use_awaitable, code));
    }
    answered_ = !code;
    co_return answered_;
  }

 private:
  bool chunked() const { return incoming_.version >= 11; }

  template <class Body>
  void set_headers(http::response<Body>& out, const Headers& headers) {
    begun_ = true;
    for (const Header& header : headers) out.insert(header.name, header.value);
    out.keep_alive(keep_alive_);
  }

  beast::tcp_stream& stream_;
  const ServerConnection::Incoming& incoming_;
  bool keep_alive_;
  bool begun_ = false;
  bool answered_ = false;
  std::stop_token gone_;
  std::chrono::seconds patience_;
};

}  // namespace

ServerConnection::ServerConnection(tcp::socket socket, const HttpServer::Limits& limits)
    : limits_(limits), stream_(std::move(socket)), buffer_(kMostBuffered) {}

Task<bool> ServerConnection::await_request() {
  if (buffer_.size() > 0) co_return true;
  error_code code;
  stream_.expires_after(limits_.idle);
  const std::size_t got =
      co_await stream_.async_read_some(buffer_.prepare(4096), redirect_error(use_awaitable, code));
  buffer_.commit(got);
  co_return !code;
}

Task<std::optional<ServerConnection::Incoming>> ServerConnection::read_request() {
  RequestParser parser;
  parser.body_limit(limits_.body);
  parser.header_limit(static_cast<std::uint32_t>(limits_.header));
  error_code code;
  std::optional<Response> refused;
  stream_.expires_after(limits_.request);
  co_await http::async_read_header(stream_, buffer_, parser, redirect_error(use_awaitable, code));
  if (!code) refused = refusal(parser.get());
  if (!code && !refused && !parser.is_done()) {
    if (parser.get().version() == 11 && !parser.get()[http::field::expect].empty()) {
      co_await asio::async_write(stream_, asio::buffer("HTTP/1.1 100 Continue\r\n\r\n", 25),
                                 redirect_error(use_awaitable, code));
    }
    if (!code) co_await http::async_read(stream_, buffer_, parser, redirect_error(use_awaitable, code));
  }
  if (code) refused = refusal(code, limits_);
  if (refused) co_await refuse(std::move(*refused));
  if (code || refused) co_return std::nullopt;
  Incoming incoming;
  incoming.version = parser.get().version();
  incoming.keep_alive = parser.get().keep_alive();
  incoming.request = from_beast(parser.release());
  co_return incoming;
}

Task<> ServerConnection::refuse(Response response) {
  const Incoming unknown;
  ConnectionExchange exchange(stream_, unknown, false, {}, limits_.idle);
  co_await exchange.respond(std::move(response));
}

Task<bool> ServerConnection::answer(Incoming incoming, bool keep_alive, const HttpServer::Handler& handler) {
  const HangUpWatch watch(stream_.socket(), buffer_);
  ConnectionExchange exchange(stream_, incoming, keep_alive && incoming.keep_alive, watch.gone(),
                              limits_.idle);
  bool failed = false;
  try {
    co_await handler(exchange);
  } catch (const std::exception& error) {
    log::error("a request could not be answered",
               {{"target", incoming.request.target.substr(0, 200)}, {"error", error.what()}});
    failed = true;
  }
  if (failed && !exchange.begun()) {
    Response response = error_response(500, "server_error", "internal", "the gateway failed; try again");
    co_await exchange.respond(std::move(response));
  }
  co_return !failed && exchange.keep_alive();
}

Task<> ServerConnection::close() {
  error_code code;
  stream_.socket().shutdown(tcp::socket::shutdown_send, code);
  stream_.expires_after(kLinger);
  std::array<char, 4096> scratch;
  std::size_t read = 0;
  while (!code && read < kMostLingering) {
    read += co_await stream_.async_read_some(asio::buffer(scratch), redirect_error(use_awaitable, code));
  }
}

}  // namespace stepdown::gateway
