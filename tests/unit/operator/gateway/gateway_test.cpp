#include "operator/gateway/gateway.h"

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "tests/unit/operator/gateway/fake_engine.h"
#include "tests/unit/raw_http.h"
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "operator/gateway/http/sse.h"

namespace stepdown::gateway {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Mode = FakeEngine::Mode;

class TestSource final : public RouteSource {
 public:
  void start(std::function<void(Snapshot)> on_change) override {
    const std::lock_guard lock(mutex_);
    on_change_ = std::move(on_change);
    if (has_) on_change_(now_);
  }
  void stop() override {}
  void set(Snapshot snapshot) {
    const std::lock_guard lock(mutex_);
    now_ = std::move(snapshot);
    has_ = true;
    if (on_change_) on_change_(now_);
  }

 private:
  std::mutex mutex_;
  std::function<void(Snapshot)> on_change_;
  Snapshot now_;
  bool has_ = false;
};

class TestSink final : public VerdictSink {
 public:
  void tell(const json& status, bool) override {
    const std::lock_guard lock(mutex_);
    last_ = status;
  }
  json last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  std::mutex mutex_;
  json last_;
};

struct Running {
  Running(const Snapshot& snapshot, const std::filesystem::path& state_dir, GatewayOptions options = {}) {
    options.listen = {"127.0.0.1", 0};
    options.service = "m";
    options.state_dir = state_dir;
    options.peers_every = 20ms;
    options.tell_every = 10ms;
    options.drain = 2s;
    auto source_owner = std::make_unique<TestSource>();
    auto sink_owner = std::make_unique<TestSink>();
    source = source_owner.get();
    sink = sink_owner.get();
    source->set(snapshot);
    gateway = std::make_unique<Gateway>(options, std::move(source_owner), std::move(sink_owner));
    thread = std::thread([this] { gateway->run(); });
    for (int i = 0; i < 200 && get("/route")["arms"].empty(); ++i) std::this_thread::sleep_for(5ms);
  }
  ~Running() {
    gateway->stop();
    thread.join();
  }

  httplib::Client client() const {
    httplib::Client client("127.0.0.1", gateway->port());
    client.set_keep_alive(true);
    client.set_tcp_nodelay(true);
    client.set_read_timeout(20s);
    return client;
  }
  json get(const std::string& path) const {
    httplib::Client c = client();
    const auto result = c.Get(path);
    return result ? json::parse(result->body, nullptr, false) : json();
  }
  /// Waits until status says so.
  json wait_for_state(const std::string& state) const {
    for (int i = 0; i < 400; ++i) {
      const json status = sink->last();
      if (status.is_object() && status["verdict"]["state"] == state) return status;
      std::this_thread::sleep_for(5ms);
    }
    return sink->last();
  }

  std::unique_ptr<Gateway> gateway;
  std::thread thread;
  TestSource* source = nullptr;
  TestSink* sink = nullptr;
};

std::string body(const std::string& prompt, bool structured, bool stream) {
  json request = {{"model", "m"},
                  {"messages", {{{"role", "user"}, {"content", prompt}}}},
                  {"temperature", 0},
                  {"stream", stream}};
  if (structured) request["response_format"] = {{"type", "json_object"}};
  return request.dump();
}

struct Answered {
  int status = 0;
  std::string text;
  std::string route, retried;
  bool whole = false;
};

std::string post(const std::string& text) {
  return "POST /v1/chat/completions HTTP/1.1\r\nhost: m\r\ncontent-length: " + std::to_string(text.size()) +
         "\r\n\r\n" + text;
}

/// Sends some bytes; hangs up when destroyed.
class RawClient {
 public:
  RawClient(std::uint16_t port, const std::string& bytes) : socket_(io_) {
    socket_.connect({asio::ip::make_address("127.0.0.1"), port});
    asio::write(socket_, asio::buffer(bytes));
  }

 private:
  asio::io_context io_;
  asio::ip::tcp::socket socket_;
};

Answered ask(httplib::Client& client, const std::string& prompt, bool structured, bool stream) {
  Answered answered;
  const auto result =
      client.Post("/v1/chat/completions", body(prompt, structured, stream), "application/json");
  if (!result) return answered;
  answered.status = result->status;
  answered.route = result->get_header_value("x-stepdown-route");
  answered.retried = result->get_header_value("x-stepdown-retried");
  if (!stream || result->status != 200) {
    const json document = json::parse(result->body, nullptr, false);
    if (result->status == 200) answered.text = document["choices"][0]["message"]["content"];
    answered.whole = result->status == 200;
    return answered;
  }
  SseDecoder decoder;
  std::vector<std::string> events;
  decoder.feed(result->body, events);
  for (const std::string& event : events) {
    if (event == "[DONE]") {
      answered.whole = true;
      continue;
    }
    const json chunk = json::parse(event);
    if (chunk.contains("error")) return answered;
    const json& delta = chunk["choices"][0]["delta"];
    if (delta.contains("content")) answered.text += delta["content"].get<std::string>();
  }
  return answered;
}

std::string right(const std::string& prompt, bool structured) {
  if (structured) return json({{"echo", prompt}, {"note", "the pump at dock four ran dry again"}}).dump();
  return "You asked about " + prompt + " and the pump at dock four ran dry again during the night shift.";
}

class GatewayTest : public testing::Test {
 protected:
  GatewayTest() : fp16_(Mode::kHealthy), candidate_(Mode::kHealthy) {
    std::filesystem::remove_all(state_dir_);
  }
  ~GatewayTest() override { std::filesystem::remove_all(state_dir_); }

  Snapshot snapshot(double weight) const {
    Snapshot snapshot;
    snapshot.rollout.candidate = "sha256:c";
    snapshot.rollout.weight = weight;
    snapshot.rollout.epoch = 2;
    snapshot.rollout.salt = "salt";
    snapshot.rollout.stable = "sha256:b";
    snapshot.rollout.backends = {{"sha256:b", "m-fp16", "fp16"}, {"sha256:c", "m-c", "candidate"}};
    snapshot.endpoints = {{"m-fp16", {fp16_.address()}}, {"m-c", {candidate_.address()}}};
    return snapshot;
  }

  FakeEngine fp16_;
  FakeEngine candidate_;
  std::filesystem::path state_dir_ =
      std::filesystem::path(testing::TempDir()) / ("gateway_test_" + std::to_string(::getpid()));
};

TEST_F(GatewayTest, SplitsTrafficAndSaysWhere) {
  Running gateway(snapshot(0.25), state_dir_);
  httplib::Client client = gateway.client();
  int candidate = 0;
  for (int i = 0; i < 200; ++i) {
    const Answered answered = ask(client, "p" + std::to_string(i), i % 2 == 0, i % 3 == 0);
    EXPECT_EQ(answered.text, right("p" + std::to_string(i), i % 2 == 0));
    EXPECT_TRUE(answered.whole);
    candidate += answered.route == "candidate" ? 1 : 0;
  }
  EXPECT_NEAR(candidate, 50, 30);
  EXPECT_EQ(candidate, candidate_.requests());
  const json status = gateway.wait_for_state("Watching");
  EXPECT_EQ(status["conditions"][0]["type"], "CanaryHealthy");
  EXPECT_EQ(status["verdict"]["epoch"], 2);
}

TEST_F(GatewayTest, EveryKindOfBadAnswerIsRetriedUnseenAndTrips) {
  struct Case {
    Mode mode;
    bool structured, stream;
    const char* retried;
  };
  const Case cases[] = {
      {Mode::kServerError, false, false, "server_error"},
      {Mode::kServerError, false, true, "server_error"},
      {Mode::kNonFinite, true, false, "nonfinite_logits"},
      {Mode::kLooping, true, false, "looping"},
      {Mode::kOffSchema, true, false, "schema_violation"},
      {Mode::kEmpty, false, false, "empty"},
      {Mode::kEmpty, false, true, "empty"},
      {Mode::kOffSchema, true, true, "schema_violation"},
      {Mode::kBreakMidway, false, false, "connection"},
  };
  for (const Case& c : cases) {
    std::filesystem::remove_all(state_dir_);
    candidate_.set(c.mode);
    Running gateway(snapshot(1), state_dir_);
    httplib::Client client = gateway.client();
    int retried = 0;
    for (int i = 0; i < 30; ++i) {
      const Answered answered = ask(client, "p", c.structured, c.stream);
      EXPECT_EQ(answered.status, 200) << c.retried;
      EXPECT_TRUE(answered.whole) << c.retried;
      EXPECT_EQ(answered.text, right("p", c.structured)) << c.retried;
      EXPECT_EQ(answered.route, "fp16");
      if (answered.retried.empty()) continue;
      EXPECT_EQ(answered.retried, c.retried);
      ++retried;
    }
    EXPECT_LE(retried, 10) << c.retried;
    EXPECT_GE(retried, 1) << c.retried;
    if (c.mode == Mode::kBreakMidway) continue;  // set apart as unreachable before it can trip
    const json status = gateway.wait_for_state("Tripped");
    EXPECT_EQ(status["verdict"]["state"], "Tripped") << c.retried;
    EXPECT_EQ(status["conditions"][0]["status"], "False") << c.retried;
    EXPECT_EQ(status["verdict"]["evidence"]["fault"], c.retried);
    EXPECT_LT(status["verdict"]["msTripToFp16"].get<double>(), 1000) << status;
  }
}

TEST_F(GatewayTest, AStreamThatBreaksAfterItsReleaseGoesOnFromFp16) {
  for (const Mode mode : {Mode::kBreakMidway, Mode::kNonFiniteMidway}) {
    for (const bool structured : {false, true}) {
      std::filesystem::remove_all(state_dir_);
      candidate_.set(mode);
      Running gateway(snapshot(1), state_dir_);
      httplib::Client client = gateway.client();
      const Answered answered = ask(client, "p", structured, true);
      EXPECT_EQ(answered.route, "candidate");
      EXPECT_TRUE(answered.whole);
      EXPECT_EQ(answered.text, right("p", structured));
    }
  }
}

TEST_F(GatewayTest, ALoopAfterTheReleaseIsTaintedAndJudged) {
  candidate_.set(Mode::kLooping);
  Running gateway(snapshot(1), state_dir_);
  httplib::Client client = gateway.client();
  for (int i = 0; i < 8; ++i) ask(client, "p", false, true);
  EXPECT_EQ(gateway.wait_for_state("Tripped")["verdict"]["evidence"]["fault"], "looping");
  const auto metrics = client.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_NE(metrics->body.find("stepdown_gateway_tainted_answers_total"), std::string::npos);
}

TEST_F(GatewayTest, FluentButWrongIsFoundByShadows) {
  candidate_.set(Mode::kFluentWrong);
  Snapshot now = snapshot(0.5);
  now.rollout.shadow = 1;
  Running gateway(now, state_dir_);
  httplib::Client client = gateway.client();
  for (int i = 0; i < 100 && gateway.get("/route")["trips"].empty(); ++i)
    ask(client, "p" + std::to_string(i), true, false);
  const json status = gateway.wait_for_state("Tripped");
  EXPECT_EQ(status["verdict"]["detectedBy"], "shadow") << status;
  EXPECT_GT(status["verdict"]["badAnswers"], 0);
}

TEST_F(GatewayTest, LowConfidenceIsAnsweredByFp16AndIsNoError) {
  candidate_.set(Mode::kUnsure);
  Snapshot now = snapshot(1);
  now.rollout.min_confidence = 0.5;
  Running gateway(now, state_dir_);
  httplib::Client client = gateway.client();
  for (int i = 0; i < 20; ++i) {
    const Answered answered = ask(client, "p", false, false);
    EXPECT_EQ(answered.route, "fp16");
    EXPECT_EQ(answered.retried, "low_confidence");
  }
  EXPECT_TRUE(gateway.get("/route")["trips"].empty());
}

TEST_F(GatewayTest, AClientsOwnErrorPassesThroughAndCountsForNothing) {
  candidate_.set(Mode::kClientError);
  fp16_.set(Mode::kClientError);
  Running gateway(snapshot(1), state_dir_);
  httplib::Client client = gateway.client();
  for (const bool stream : {false, true}) {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(client, "p", false, stream).status, 400);
  }
  EXPECT_TRUE(gateway.get("/route")["trips"].empty());
  candidate_.set(Mode::kOverloaded);
  fp16_.set(Mode::kHealthy);
  EXPECT_EQ(ask(client, "p", false, false).retried, "overloaded");
  EXPECT_TRUE(gateway.get("/route")["trips"].empty());
}

TEST_F(GatewayTest, WhatTheCandidateRefusesAndFp16AnswersIsTheCandidatesFault) {
  candidate_.set(Mode::kClientError);
  for (const bool stream : {false, true}) {
    Running gateway(snapshot(1), state_dir_ / (stream ? "stream" : "whole"));
    httplib::Client client = gateway.client();
    const Answered first = ask(client, "p", false, stream);
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.retried, "refused");
    for (int i = 0; i < 10; ++i) EXPECT_EQ(ask(client, "p", false, stream).status, 200);
    EXPECT_EQ(gateway.get("/route")["trips"][0]["reason"], "refused");
  }
}

TEST_F(GatewayTest, ATimeoutIsAnErrorAndTheRetryHasTimeLeft) {
  candidate_.set(Mode::kHang);
  GatewayOptions options;
  options.proxy.request = 400ms;
  Running gateway(snapshot(1), state_dir_, options);
  httplib::Client client = gateway.client();
  const Answered answered = ask(client, "p", false, false);
  EXPECT_EQ(answered.status, 200);
  EXPECT_EQ(answered.retried, "timeout");
}

TEST_F(GatewayTest, KillingTheCandidateUnderLoadFailsNoClientAndIsNoVerdict) {
  Running gateway(snapshot(0.5), state_dir_);
  std::atomic<int> failed{0}, asked{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> clients;
  for (int t = 0; t < 8; ++t) {
    clients.emplace_back([&, t] {
      httplib::Client client = gateway.client();
      for (int i = 0; !stop; ++i) {
        const std::string prompt = std::to_string(t) + "-" + std::to_string(i);
        const bool structured = i % 2 == 0;
        const Answered answered = ask(client, prompt, structured, i % 3 == 0);
        if (!answered.whole || answered.text != right(prompt, structured)) ++failed;
        ++asked;
      }
    });
  }
  std::this_thread::sleep_for(300ms);
  const std::uint16_t port = candidate_.address().port;
  candidate_.kill();
  std::this_thread::sleep_for(500ms);
  {
    FakeEngine again(Mode::kWithoutPages, port);
    for (int i = 0; i < 400 && again.requests() < 10; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_GE(again.requests(), 10) << "a restarted engine gets its share again";
    stop = true;
    for (std::thread& client : clients) client.join();
  }
  EXPECT_EQ(failed, 0) << "of " << asked;
  EXPECT_GT(asked, 100);
  EXPECT_TRUE(gateway.get("/route")["trips"].empty()) << gateway.get("/route").dump(1);
}

TEST_F(GatewayTest, NewRequestsWaitForTheLastFp16EngineToRestart) {
  Running gateway(snapshot(0), state_dir_);
  httplib::Client client = gateway.client();
  const std::uint16_t port = fp16_.address().port;
  fp16_.kill();
  std::thread restart;
  std::optional<FakeEngine> again;
  for (const bool stream : {false, true}) {
    restart = std::thread([&] {
      std::this_thread::sleep_for(1s);
      again.emplace(Mode::kHealthy, port);
    });
    const Answered answered = ask(client, "p", false, stream);
    restart.join();
    EXPECT_EQ(answered.status, 200) << stream;
    EXPECT_EQ(answered.text, right("p", false)) << stream;
    again.reset();
  }
}

TEST_F(GatewayTest, AnEngineThatIsEndingIsLedAroundAndIsNoFault) {
  Snapshot two = snapshot(1);
  FakeEngine ending(Mode::kEnding);
  two.endpoints["m-c"].push_back(ending.address());
  Running gateway(two, state_dir_);
  httplib::Client client = gateway.client();
  for (int i = 0; i < 20; ++i) {
    const Answered answered = ask(client, "p", i % 2 == 0, i % 3 == 0);
    EXPECT_EQ(answered.text, right("p", i % 2 == 0));
    EXPECT_EQ(answered.route, "candidate");
    EXPECT_EQ(answered.retried, "");
  }
  EXPECT_GE(ending.requests(), 1);
  EXPECT_LE(ending.requests(), 2) << "it is asked no more until it says that it is ready";
  EXPECT_TRUE(gateway.get("/route")["trips"].empty());
}

TEST_F(GatewayTest, NewRequestsWaitWhileTheLastFp16EngineIsEnding) {
  Running gateway(snapshot(0), state_dir_);
  httplib::Client client = gateway.client();
  for (const bool stream : {false, true}) {
    fp16_.set(Mode::kEnding);
    std::thread restart([&] {
      std::this_thread::sleep_for(500ms);
      fp16_.set(Mode::kHealthy);
    });
    const Answered answered = ask(client, "p", false, stream);
    restart.join();
    EXPECT_EQ(answered.status, 200) << stream;
    EXPECT_EQ(answered.text, right("p", false)) << stream;
  }
}

TEST_F(GatewayTest, ATripSurvivesARestart) {
  candidate_.set(Mode::kNonFinite);
  {
    Running gateway(snapshot(1), state_dir_);
    httplib::Client client = gateway.client();
    for (int i = 0; i < 10; ++i) ask(client, "p", false, false);
    EXPECT_EQ(gateway.wait_for_state("Tripped")["verdict"]["state"], "Tripped");
  }
  const int before = candidate_.requests();
  Running gateway(snapshot(1), state_dir_);
  httplib::Client client = gateway.client();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask(client, "p", false, false).route, "fp16");
  EXPECT_EQ(candidate_.requests(), before);
}

TEST_F(GatewayTest, BadRequestsGetOneClearAnswer) {
  GatewayOptions options;
  options.http.body = 1000;
  Running gateway(snapshot(0), state_dir_, options);
  httplib::Client client = gateway.client();
  const auto status = [&](const std::string& path, const std::string& text) {
    const auto result = client.Post(path, text, "application/json");
    return result ? result->status : 0;
  };
  EXPECT_EQ(status("/v1/chat/completions", "{"), 400);
  EXPECT_EQ(status("/v1/chat/completions", "[]"), 400);
  EXPECT_EQ(status("/v1/chat/completions", std::string(2000, 'x')), 413);
  EXPECT_EQ(status("/v1/nothing", "{}"), 404);
  const auto get = client.Get("/v1/chat/completions");
  ASSERT_TRUE(get);
  EXPECT_EQ(get->status, 405);
  EXPECT_EQ(client.Get("/readyz")->status, 200);
  EXPECT_EQ(client.Get("/healthz")->status, 200);
}

// Waits at most two seconds.
template <class Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 400 && !condition(); ++i) std::this_thread::sleep_for(5ms);
  return condition();
}

TEST_F(GatewayTest, AClientThatHangsUpEndsTheWorkOnItsRequestAtOnce) {
  fp16_.set(Mode::kHang);
  GatewayOptions options;
  options.upstreams.per_endpoint = 1;
  Running gateway(snapshot(0), state_dir_, options);
  const auto in_flight = [&] { return gateway.get("/route")["inFlight"].get<int>(); };
  for (const bool stream : {false, true}) {
    const int before = fp16_.abandoned();
    {
      const RawClient asking(gateway.gateway->port(), post(body("p", false, stream)));
      ASSERT_TRUE(soon([&] { return fp16_.requests() == before + 1; }));
      const RawClient waiting(gateway.gateway->port(), post(body("p", false, stream)));
      ASSERT_TRUE(soon([&] { return in_flight() == 2; }));
    }
    EXPECT_TRUE(soon([&] { return fp16_.abandoned() == before + 1 && in_flight() == 0; })) << stream;
    EXPECT_EQ(fp16_.requests(), before + 1) << "what waited for room was never sent";
  }
  fp16_.set(Mode::kHealthy);
  httplib::Client client = gateway.client();
  EXPECT_TRUE(ask(client, "p", false, false).whole) << "its room is free again";
}

TEST_F(GatewayTest, AHangIsFoundThoughItsClientsHangUpFirst) {
  candidate_.set(Mode::kHang);
  GatewayOptions options;
  options.proxy.long_wait = 100ms;
  Running gateway(snapshot(1), state_dir_, options);
  for (int i = 0; i < 20 && gateway.get("/route")["trips"].empty(); ++i) {
    const RawClient asking(gateway.gateway->port(), post(body("p", false, i % 2 == 0)));
    std::this_thread::sleep_for(120ms);
  }
  EXPECT_EQ(gateway.wait_for_state("Tripped")["verdict"]["evidence"]["fault"], "timeout");
}

TEST_F(GatewayTest, HangingUpInHasteIsNoEvidence) {
  candidate_.set(Mode::kHang);
  Running gateway(snapshot(1), state_dir_);
  for (int i = 0; i < 30; ++i) {
    const RawClient asking(gateway.gateway->port(), post(body("p", false, false)));
    ASSERT_TRUE(soon([&] { return candidate_.requests() == i + 1; }));
  }
  EXPECT_TRUE(soon([&] { return candidate_.abandoned() == 30; }));
  const json status = gateway.wait_for_state("Watching");
  EXPECT_EQ(status["verdict"]["answers"]["candidate"], 0) << status;
}

TEST_F(GatewayTest, AStreamThatStandsStillGoesOnFromFp16) {
  candidate_.set(Mode::kStallMidway);
  GatewayOptions options;
  options.upstreams.http.stall = 200ms;
  Running gateway(snapshot(1), state_dir_, options);
  httplib::Client client = gateway.client();
  const Answered answered = ask(client, "p", false, true);
  EXPECT_EQ(answered.route, "candidate");
  EXPECT_EQ(answered.text, right("p", false));
  EXPECT_TRUE(soon([&] { return candidate_.abandoned() == 1; }));
}

TEST_F(GatewayTest, EnginesGetTheClientsTraceWithASpanOfTheirOwn) {
  Running gateway(snapshot(0), state_dir_);
  httplib::Client client = gateway.client();
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  const auto ask_with = [&](const std::string& parent) {
    const httplib::Headers headers = {{"traceparent", parent}, {"tracestate", "a=1"}, {"tracestate", "b=2"}};
    client.Post("/v1/chat/completions", headers, body("p", false, false), "application/json");
    return fp16_.last_header("traceparent");
  };
  const std::string first = ask_with("00-" + trace + "-b7ad6b7169203331-01");
  const std::string second = ask_with("00-" + trace + "-b7ad6b7169203331-01");
  EXPECT_EQ(first.substr(0, 36), "00-" + trace + "-");
  EXPECT_EQ(first.substr(52), "-01");
  EXPECT_NE(first, second);
  EXPECT_NE(first.substr(36, 16), "b7ad6b7169203331");
  EXPECT_EQ(fp16_.last_header("tracestate"), "a=1,b=2");
  const std::string replaced = ask_with("00-" + std::string(32, '0') + "-b7ad6b7169203331-01");
  EXPECT_EQ(replaced.size(), 55U);
  EXPECT_NE(replaced.substr(3, 32), std::string(32, '0'));
  EXPECT_EQ(fp16_.last_header("tracestate"), "") << "of a trace that is not its client's";
}

TEST_F(GatewayTest, WhatIsNoHttpIsRefusedAndReachesNoEngine) {
  GatewayOptions options;
  options.http.request = 1s;
  Running gateway(snapshot(0.5), state_dir_, options);
  const raw_http::Server server{gateway.gateway->port(), "/healthz", "/v1/chat/completions", 1s};
  EXPECT_THAT(raw_http::complaints(server), testing::IsEmpty());
  EXPECT_EQ(fp16_.requests() + candidate_.requests(), 0);
}

TEST_F(GatewayTest, AnHttp10ClientGetsAStreamWithoutChunks) {
  Running gateway(snapshot(0), state_dir_);
  const std::string text = body("p", false, true);
  raw_http::Client client({gateway.gateway->port()}, 2s);
  client.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: " + std::to_string(text.size()) +
              "\r\n\r\n" + text);
  std::string got;
  bool ended = false;
  for (std::string some = client.receive(ended); !some.empty(); some = client.receive(ended)) got += some;
  EXPECT_TRUE(ended);
  EXPECT_EQ(got.find("chunked"), std::string::npos) << got;
  EXPECT_NE(got.find("\r\n\r\ndata: {"), std::string::npos) << got;
  EXPECT_TRUE(got.ends_with("data: [DONE]\n\n")) << got;
}

TEST_F(GatewayTest, OverloadIsToldWith429) {
  fp16_.set(Mode::kHang);
  GatewayOptions options;
  options.proxy.in_flight = 2;
  options.proxy.request = 600ms;
  Running gateway(snapshot(0), state_dir_, options);
  std::atomic<int> busy{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 6; ++t) {
    clients.emplace_back([&] {
      httplib::Client client = gateway.client();
      const auto result = client.Post("/v1/chat/completions", body("p", false, false), "application/json");
      if (result && result->status == 429 && result->has_header("Retry-After")) ++busy;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(busy, 4);
}

}  // namespace
}  // namespace stepdown::gateway
