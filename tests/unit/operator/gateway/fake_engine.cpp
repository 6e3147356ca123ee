#include "tests/unit/operator/gateway/fake_engine.h"

#include <chrono>

#include <nlohmann/json.hpp>

#include "operator/gateway/http/sse.h"

namespace stepdown::gateway {
namespace {

using nlohmann::json;
using Mode = FakeEngine::Mode;

std::string right_answer(const std::string& prompt, bool structured) {
  if (structured) return json({{"echo", prompt}, {"note", "the pump at dock four ran dry again"}}).dump();
  return "You asked about " + prompt + " and the pump at dock four ran dry again during the night shift.";
}

std::string text_in(Mode mode, const std::string& prompt, bool structured) {
  const std::string right = right_answer(prompt, structured);
  switch (mode) {
    case Mode::kLooping: {
      std::string loop = structured ? R"({"echo": ")" : right;
      for (int i = 0; i < 40; ++i) loop += "the the ";
      return loop + (structured ? R"("})" : "");
    }
    case Mode::kOffSchema:
      return structured ? right.substr(0, 14) + "\"}}}}} oh no" : right;
    case Mode::kEmpty:
      return "";
    case Mode::kFluentWrong: {
      if (!structured) return "Nothing of interest happened anywhere today.";
      return json({{"echo", "something else"}, {"note", "all was well"}}).dump();
    }
    default:
      return right;
  }
}

json stats(Mode mode) {
  return {{"revision", "sha256:x"}, {"mean_logprob", mode == Mode::kUnsure ? -2.0 : -0.2}};
}

std::string chunk(const json& delta, const json& finish) {
  return sse_event(json({{"id", "chatcmpl-1"},
                         {"object", "chat.completion.chunk"},
                         {"created", 1},
                         {"model", "m"},
                         {"choices", {{{"index", 0}, {"delta", delta}, {"finish_reason", finish}}}}})
                       .dump());
}

}  // namespace

FakeEngine::FakeEngine(Mode mode, std::uint16_t port)
    : mode_(mode), io_(std::make_unique<asio::io_context>(1)) {
  server_ = std::make_unique<HttpServer>(*io_, Address{"127.0.0.1", port}, HttpServer::Limits{},
                                         [this](Exchange& exchange) { return handle(exchange); });
  port_ = server_->port();
  thread_ = std::thread([this] { io_->run(); });
}

void FakeEngine::kill() {
  if (!thread_.joinable()) return;
  io_->stop();
  thread_.join();
  server_.reset();
  io_.reset();
}

Task<> FakeEngine::hang(Exchange& exchange) {
  asio::steady_timer timer(*io_, std::chrono::seconds(30));
  const std::stop_callback stop(exchange.gone(), [&timer] { timer.cancel(); });
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (exchange.gone().stop_requested()) ++abandoned_;
}

std::string FakeEngine::last_header(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return std::string(find_header(last_headers_, name));
}

Task<> FakeEngine::handle(Exchange& exchange) {
  if (exchange.request().method == "GET") {
    Response page;
    page.status = mode_ == Mode::kWithoutPages ? 404 : mode_ == Mode::kEnding ? 503 : 200;
    page.body = "ok";
    co_await exchange.respond(std::move(page));
    co_return;
  }
  ++requests_;
  {
    const std::lock_guard lock(mutex_);
    last_headers_ = exchange.request().headers;
  }
  const Mode mode = mode_;
  const json request = json::parse(exchange.request().body);
  json messages = request["messages"];
  std::string prefix;
  if (messages.back()["role"] == "assistant") {
    prefix = messages.back()["content"].get<std::string>();
    messages.erase(messages.size() - 1);
  }
  const std::string prompt = messages.back()["content"].get<std::string>();
  const bool structured = request.contains("response_format");
  Response failure;
  if (mode == Mode::kServerError) failure = error_response(500, "engine_error", "broken", "broken");
  if (mode == Mode::kNonFinite) failure = error_response(500, "engine_error", "nonfinite_logits", "NaN");
  if (mode == Mode::kClientError)
    failure = error_response(400, "invalid_request_error", "context_length_exceeded", "long");
  if (mode == Mode::kEnding) failure = error_response(503, "engine_error", "shutting_down", "shutting down");
  if (mode == Mode::kOverloaded) failure = error_response(429, "overloaded", "overloaded", "busy");
  if (failure.status != 200) {
    co_await exchange.respond(std::move(failure));
    co_return;
  }
  if (mode == Mode::kHang) {
    co_await hang(exchange);
    co_return;
  }
  std::string text = text_in(mode, prompt, structured);
  if (text.starts_with(prefix)) text = text.substr(prefix.size());
  if (!request.value("stream", false)) {
    if (mode == Mode::kBreakMidway) co_return;
    const json body = {{"id", "chatcmpl-1"},
                       {"choices",
                        {{{"index", 0},
                          {"message", {{"role", "assistant"}, {"content", text}}},
                          {"finish_reason", "stop"}}}},
                       {"stepdown", stats(mode)}};
    Response response;
    response.headers.push_back({"content-type", "application/json"});
    response.body = body.dump();
    co_await exchange.respond(std::move(response));
    co_return;
  }
  Headers headers;
  headers.push_back({"content-type", "text/event-stream"});
  if (!co_await exchange.begin(200, headers)) co_return;
  const std::string role = chunk({{"role", "assistant"}, {"content", ""}}, nullptr);
  if (!co_await exchange.write(role)) co_return;
  int sent = 0;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    if (mode == Mode::kBreakMidway && sent == 12) co_return;
    if (mode == Mode::kStallMidway && sent == 12) {
      co_await hang(exchange);
      co_return;
    }
    if (mode == Mode::kNonFiniteMidway && sent == 12) {
      const std::string event =
          sse_event(R"({"error": {"type": "engine_error", "code": "nonfinite_logits"}})");
      if (co_await exchange.write(event)) co_await exchange.end();
      co_return;
    }
    const std::string event = chunk({{"content", text.substr(at, 4)}}, nullptr);
    if (!co_await exchange.write(event)) co_return;
    ++sent;
  }
  json last = json::parse(chunk(json::object(), "stop").substr(6));
  last["stepdown"] = stats(mode);
  const std::string end = sse_event(last.dump()) + sse_event("[DONE]");
  if (co_await exchange.write(end)) co_await exchange.end();
}

}  // namespace stepdown::gateway
