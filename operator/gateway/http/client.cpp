#include "operator/gateway/http/client.h"

#include <array>
#include <functional>
#include <limits>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace stepdown::gateway {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::redirect_error;
using asio::use_awaitable;
using boost::system::error_code;

constexpr std::size_t kPiece = 16UL * 1024;

NetError net_error(const error_code& code, NetError::Kind otherwise, const std::stop_token& gone) {
  if (gone.stop_requested()) return {NetError::Kind::kGivenUp, "its client hung up"};
  return {code == beast::error::timeout ? NetError::Kind::kTimeout : otherwise, code.message()};
}

struct Connection {
  explicit Connection(asio::io_context& io) : stream(io) {}
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
  SteadyTime idle_since;
};

// An engine whose node is gone says nothing and closes nothing: that is noticed within ten seconds, however
// long an answer may take. One that is only busy is not mistaken for it, as its kernel answers.
void notice_lost_peer(asio::ip::tcp::socket& socket) {
  constexpr int kSilence = 5, kBetween = 1, kProbes = 5;
  constexpr int kUnacknowledged = (kSilence + kBetween * kProbes) * 1000;
  const auto set = [&](int level, int option, int value) {
    ::setsockopt(socket.native_handle(), level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kSilence);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kBetween);
  set(IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledged);
}

// Closes the connection when asked to; to be dropped before it.
using GiveUp = std::unique_ptr<std::stop_callback<std::function<void()>>>;
GiveUp close_when(const std::stop_token& gone, Connection& connection) {
  if (!gone.stop_possible()) return nullptr;
  return std::make_unique<GiveUp::element_type>(gone, [&connection] { connection.stream.close(); });
}

http::request<http::string_body> to_beast(const Request& request, const Address& to) {
  http::request<http::string_body> out{http::string_to_verb(request.method), request.target, 11};
  for (const Header& header : request.headers) out.insert(header.name, header.value);
  out.set(http::field::host, to.text());
  out.keep_alive(true);
  out.body() = request.body;
  out.prepare_payload();
  return out;
}

}  // namespace

struct HttpClient::Pool {
  Pool(asio::io_context& context, Limits l) : io(context), limits(l) {}

  std::unique_ptr<Connection> take(const Address& to) {
    auto& idle = by_address[to];
    while (!idle.empty()) {
      std::unique_ptr<Connection> connection = std::move(idle.back());
      idle.pop_back();
      if (std::chrono::steady_clock::now() - connection->idle_since < limits.longest_idle) return connection;
    }
    return nullptr;
  }

  void give_back(const Address& to, std::unique_ptr<Connection> connection) {
    const SteadyTime now = std::chrono::steady_clock::now();
    close_expired(now);
    auto& idle = by_address[to];
    if (idle.size() >= limits.most_idle) return;
    connection->idle_since = now;
    connection->stream.expires_never();
    idle.push_back(std::move(connection));
  }

  // Also of addresses that nobody asks any more.
  void close_expired(SteadyTime now) {
    for (auto& [address, idle] : by_address) {
      std::erase_if(idle, [&](const auto& kept) { return now - kept->idle_since >= limits.longest_idle; });
    }
    std::erase_if(by_address, [](const auto& entry) { return entry.second.empty(); });
  }

  asio::io_context& io;
  Limits limits;
  std::map<Address, std::vector<std::unique_ptr<Connection>>> by_address;
};

struct HttpClient::Answer::State {
  std::weak_ptr<Pool> pool;
  Address from;
  std::unique_ptr<Connection> connection;
  std::unique_ptr<http::response_parser<http::buffer_body>> parser;
  Headers headers;
  SteadyTime deadline;
  std::chrono::milliseconds stall{};
  bool begun = false;  // some of the body has come
  std::stop_token gone;
  GiveUp give_up;

  ~State() {
    give_up.reset();
    const auto home = pool.lock();
    const bool open = connection && connection->stream.socket().is_open();
    if (home && open && parser && parser->is_done() && parser->get().keep_alive()) {
      home->give_back(from, std::move(connection));
    }
  }
};

HttpClient::Answer::Answer() = default;
HttpClient::Answer::~Answer() = default;
HttpClient::Answer::Answer(Answer&&) noexcept = default;
HttpClient::Answer& HttpClient::Answer::operator=(Answer&&) noexcept = default;

int HttpClient::Answer::status() const {
  return static_cast<int>(state_->parser->get().result_int());
}
const Headers& HttpClient::Answer::headers() const {
  return state_->headers;
}

Task<Outcome<std::string>> HttpClient::Answer::read() {
  auto& parser = *state_->parser;
  if (!state_->connection) co_return NetError{NetError::Kind::kBroken, "the connection is closed"};
  std::array<char, kPiece> piece;
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    parser.get().body().more = true;
    error_code code;
    if (state_->begun) {
      const SteadyTime stalled = std::chrono::steady_clock::now() + state_->stall;
      state_->connection->stream.expires_at(std::min(stalled, state_->deadline));
    }
    co_await http::async_read_some(state_->connection->stream, state_->connection->buffer, parser,
                                   redirect_error(use_awaitable, code));
    if (code == http::error::need_buffer) code = {};
    if (code) {
      state_->give_up.reset();
      state_->connection.reset();
      co_return net_error(code, NetError::Kind::kBroken, state_->gone);
    }
    const std::size_t got = piece.size() - parser.get().body().size;
    state_->begun = state_->begun || got > 0;
    if (got > 0) co_return std::string(piece.data(), got);
  }
  co_return std::string();
}

Task<Outcome<std::string>> HttpClient::Answer::read_all(std::size_t most) {
  std::string body;
  for (;;) {
    Outcome<std::string> piece = co_await read();
    if (!piece) co_return piece.error;
    if (piece.value->empty()) co_return body;
    if (body.size() + piece.value->size() > most) {
      co_return NetError{NetError::Kind::kBroken, "an answer over " + std::to_string(most) + " bytes"};
    }
    body += *piece.value;
  }
}

HttpClient::HttpClient(asio::io_context& io, Limits limits) : pool_(std::make_shared<Pool>(io, limits)) {}
HttpClient::~HttpClient() = default;

Task<Outcome<HttpClient::Answer>> HttpClient::send(Address to, const Request& request, SteadyTime deadline,
                                                   std::stop_token gone) {
  const std::shared_ptr<Pool> pool = pool_;
  const http::request<http::string_body> out = to_beast(request, to);
  error_code code;
  for (;;) {
    if (gone.stop_requested()) co_return net_error({}, NetError::Kind::kBroken, gone);
    std::unique_ptr<Connection> connection = pool->take(to);
    const bool kept = connection != nullptr;
    if (!kept) connection = std::make_unique<Connection>(pool->io);
    GiveUp give_up = close_when(gone, *connection);
    if (!kept) {
      const auto host = asio::ip::make_address(to.host, code);
      if (code) co_return NetError{NetError::Kind::kConnect, "not an IP address: " + to.host};
      const asio::ip::tcp::endpoint endpoint(host, to.port);
      const SteadyTime connect_by = std::chrono::steady_clock::now() + pool->limits.connect;
      connection->stream.expires_at(std::min(connect_by, deadline));
      co_await connection->stream.async_connect(endpoint, redirect_error(use_awaitable, code));
      if (code && gone.stop_requested()) co_return net_error(code, NetError::Kind::kConnect, gone);
      if (code) co_return NetError{NetError::Kind::kConnect, to.text() + ": " + code.message()};
      connection->stream.socket().set_option(asio::ip::tcp::no_delay(true), code);
      notice_lost_peer(connection->stream.socket());
    }
    connection->stream.expires_at(deadline);
    co_await http::async_write(connection->stream, out, redirect_error(use_awaitable, code));
    auto parser = std::make_unique<http::response_parser<http::buffer_body>>();
    parser->body_limit(std::numeric_limits<std::uint64_t>::max());  // Boost 1.74 takes none for zero
    if (!code) {
      co_await http::async_read_header(connection->stream, connection->buffer, *parser,
                                       redirect_error(use_awaitable, code));
    }
    const bool was_closed = kept && !parser->got_some() && code != beast::error::timeout;
    if (code && was_closed && !gone.stop_requested()) continue;
    if (code) co_return net_error(code, NetError::Kind::kBroken, gone);
    Answer answer;
    answer.state_ = std::make_unique<Answer::State>();
    answer.state_->pool = pool;
    answer.state_->from = to;
    for (const auto& field : parser->get()) {
      answer.state_->headers.push_back({std::string(field.name_string()), std::string(field.value())});
    }
    answer.state_->connection = std::move(connection);
    answer.state_->parser = std::move(parser);
    answer.state_->deadline = deadline;
    answer.state_->stall = pool->limits.stall;
    answer.state_->gone = std::move(gone);
    answer.state_->give_up = std::move(give_up);
    co_return answer;
  }
}

}  // namespace stepdown::gateway
