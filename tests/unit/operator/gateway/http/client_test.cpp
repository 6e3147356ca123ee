#include "operator/gateway/http/client.h"

#include <fstream>
#include <sstream>

#include "tests/unit/operator/gateway/fake_engine.h"
#include <gtest/gtest.h>

namespace stepdown::gateway {
namespace {

/// What /proc/net/tcp says of the timers of connections to that port: "TYPE:TICKS", 02 being keep-alive.
std::vector<std::string> timers_to(std::uint16_t port) {
  std::vector<std::string> out;
  std::ifstream table("/proc/self/net/tcp");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string slot, local, remote, state, queues, timer;
    words >> slot >> local >> remote >> state >> queues >> timer;
    std::ostringstream wanted;
    wanted << ':' << std::hex << std::uppercase;
    wanted.fill('0');
    wanted.width(4);
    wanted << port;
    if (remote.ends_with(wanted.str()) && state == "01") out.push_back(timer);
  }
  return out;
}

TEST(HttpClient, AnEngineThatFallsSilentIsAskedForASignOfLife) {
  FakeEngine engine(FakeEngine::Mode::kHang);
  asio::io_context io;
  HttpClient client(io, {});
  std::stop_source gone;
  const Request request{
      "POST", "/v1/chat/completions", {}, R"({"messages": [{"role": "user", "content": "p"}]})"};
  bool ended = false;
  asio::co_spawn(
      io,
      [&]() -> Task<> {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        const auto answer = co_await client.send(engine.address(), request, deadline, gone.get_token());
        EXPECT_FALSE(answer);
        ended = true;
      },
      asio::detached);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (engine.requests() == 0 && std::chrono::steady_clock::now() < limit)
    io.run_for(std::chrono::milliseconds(10));
  io.run_for(std::chrono::milliseconds(300));  // once the request is acknowledged that timer is the only one
  ASSERT_FALSE(ended);
  const auto timers = timers_to(engine.address().port);
  ASSERT_EQ(timers.size(), 1U);
  EXPECT_TRUE(timers[0].starts_with("02:")) << timers[0];
  EXPECT_LE(std::stoul(timers[0].substr(3), nullptr, 16), 500U)
      << "hundredths of a second until the first probe";
  gone.request_stop();
  io.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace stepdown::gateway
