#include "engine/server/watched_server.h"

#include <thread>

#include "tests/unit/raw_http.h"
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stepdown::server {
namespace {

using namespace std::chrono_literals;

constexpr int kConnections = 16;

class WatchedServerTest : public testing::Test {
 protected:
  void SetUp() override {
    server_.set_connections(kConnections);
    server_.set_payload_max_length(1000);
    server_.set_time_limits(limits());
    server_.set_refusal([](const FramingError& error) { return "refused: " + error.what; });
    server_.Post("/echo", [](const httplib::Request& request, httplib::Response& out) {
      out.set_content("[" + request.body + "]", "text/plain");
    });
    server_.Get("/hello", [](const httplib::Request&, httplib::Response& out) {
      out.set_content("hello", "text/plain");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    ASSERT_GT(port_, 0);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(1ms);
  }
  void TearDown() override {
    server_.stop();
    thread_.join();
  }
  virtual WatchedServer::TimeLimits limits() const { return {.head = 300ms, .body = 600ms}; }

  /// A socket that gives up after some seconds, so that a hang is a failure.
  int connect_raw() const {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    const timeval limit{4, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return socket;
  }
  /// All that comes until the server closes; nothing when it did not close in time.
  static std::string read_all(int socket) {
    std::string text;
    char bytes[4096];
    for (;;) {
      const ssize_t got = ::recv(socket, bytes, sizeof bytes, 0);
      if (got <= 0) return got == 0 ? text : "";
      text.append(bytes, static_cast<std::size_t>(got));
    }
  }
  std::string answer_to(const std::string& bytes) const {
    const int socket = connect_raw();
    EXPECT_EQ(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    const std::string answer = read_all(socket);
    ::close(socket);
    return answer;
  }

  WatchedServer server_;
  std::thread thread_;
  int port_ = 0;
};

TEST_F(WatchedServerTest, MalformedRequestsAreAnsweredAndClosed) {
  const std::string post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  const struct {
    std::string bytes;
    const char* answer;
  } cases[] = {
      {post + "Content-Length: -1\r\n\r\n{}", "HTTP/1.1 400 "},
      {post + "Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}", "HTTP/1.1 400 "},
      {post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
      {post + "no colon\r\n\r\n", "HTTP/1.1 400 "},
      {post + "A: " + std::string(200'000, 'a') + "\r\n\r\n", "HTTP/1.1 431 "},
      {post + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello", "HTTP/1.1 400 "},
      {post + "Content-Length: 2147483648\r\n\r\n{}", "HTTP/1.1 413 "},
      {"\x16\x03\x01" + std::string(9000, '\xff'), "HTTP/1.1 414 "},
  };
  for (const auto& each : cases) {
    const std::string answer = answer_to(each.bytes);
    EXPECT_TRUE(answer.starts_with(each.answer)) << each.bytes.substr(0, 90) << " → " << answer;
    EXPECT_NE(answer.find("\r\n\r\nrefused: "), std::string::npos) << answer;
  }
}

TEST_F(WatchedServerTest, RefusesWhatIsNoHttp) {
  EXPECT_EQ(raw_http::complaints({.port = port_, .get = "/hello", .post = "/echo", .patience = 1000ms}),
            std::vector<std::string>{});
}

TEST_F(WatchedServerTest, SlowRequestsEndInTime) {
  const std::string post = "POST /echo HTTP/1.1\r\n";
  for (const std::string& half : {post, post + "Content-Length: 9\r\n\r\n12"}) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(answer_to(half).starts_with("HTTP/1.1 408 ")) << half;
    EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  }
  // A byte now and then buys no more time.
  const int socket = connect_raw();
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < 6s && ::send(socket, "G", 1, MSG_NOSIGNAL) == 1)
    std::this_thread::sleep_for(20ms);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  ::close(socket);
}

class CrowdedServerTest : public WatchedServerTest {
  WatchedServer::TimeLimits limits() const override { return {.head = 20s, .body = 20s, .crowded = 100ms}; }
};

TEST_F(CrowdedServerTest, ManySlowAndIdleConnectionsKeepNobodyOut) {
  for (const std::string_view begun :
       {"GET /hello HT", "POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\n12", ""}) {
    std::vector<int> slow;
    for (int i = 0; i < 3 * kConnections; ++i) {
      slow.push_back(connect_raw());
      ::send(slow.back(), begun.data(), begun.size(), MSG_NOSIGNAL);
    }
    const auto start = std::chrono::steady_clock::now();
    EXPECT_NE(answer_to("GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n").find("hello"), std::string::npos)
        << begun;
    EXPECT_LT(std::chrono::steady_clock::now() - start, 3s) << begun;
    for (const int socket : slow) ::close(socket);
  }
}

TEST_F(WatchedServerTest, GoodRequestsPassOneAfterAnother) {
  const int socket = connect_raw();
  const auto say = [&](std::string_view bytes) {
    EXPECT_EQ(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  };
  say("POST /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"
      "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  std::string answer;  // a client that waits to be told
  while (answer.find("100 Continue") == std::string::npos) {
    char bytes[4096];
    const ssize_t got = ::recv(socket, bytes, sizeof bytes, 0);
    ASSERT_GT(got, 0) << answer;
    answer.append(bytes, static_cast<std::size_t>(got));
  }
  EXPECT_LT(answer.find("[hi]"), answer.find("100 Continue")) << answer;
  say("3\r\nyou\r\n0\r\n\r\n"
      "POST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  const std::string rest = read_all(socket);
  ::close(socket);
  const std::size_t second = rest.find("[you]");
  ASSERT_NE(second, std::string::npos) << rest;
  EXPECT_NE(rest.find("[]", second), std::string::npos) << rest;
}

}  // namespace
}  // namespace stepdown::server
