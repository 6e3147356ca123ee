#include "engine/server/load_generator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>

#include <httplib.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr std::array kWords = {"the",   "pump",   "on",    "deck",  "two",    "failed", "again",
                               "and",   "night",  "shift", "asks",  "for",    "a",      "new",
                               "seal",  "before", "six",   "crane", "three",  "waits",  "with",
                               "cargo", "report", "it",    "to",    "harbor", "office"};

double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string words(int count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text;
  for (int i = 0; i < count; ++i) text += std::string(" ") + kWords[random() % kWords.size()];
  return text;
}

std::string body_of(const LoadPlan& plan, std::uint64_t seed) {
  ordered_json body = {{"model", plan.model},
                       {"prompt", plan.shared + words(plan.prompt_words, seed)},
                       {"max_tokens", plan.generate},
                       {"temperature", 0},
                       {"stream", true},
                       {"stream_options", {{"include_usage", true}}}};
  if (plan.extra.empty()) {
    body["ignore_eos"] = true;
  } else {
    body.update(ordered_json::parse(plan.extra));
  }
  return body.dump();
}

/// Takes in a stream of events as it comes.
class EventReader {
 public:
  EventReader(Clock::time_point begun, AnswerTimes& times) : begun_(begun), last_(begun), times_(times) {}

  void take(std::string_view data) {
    buffer_ += data;
    std::size_t end = 0;
    while ((end = buffer_.find("\n\n")) != std::string::npos) {
      event(std::string_view(buffer_).substr(0, end));
      buffer_.erase(0, end + 2);
    }
  }
  bool any() const { return any_; }

 private:
  void event(std::string_view text) {
    if (text.find("\"error\"") != std::string_view::npos &&
        text.find("\"choices\"") == std::string_view::npos)
      throw Error("the server failed: " + std::string(text.substr(0, 300)), "stream");
    // Parsing every event would cost the machine what the server shall have.
    if (text.find("\"usage\":{") != std::string_view::npos) usage(text);
    const bool has_text = text.find("\"text\":\"\"") == std::string_view::npos &&
                          text.find("\"text\"") != std::string_view::npos;
    if (!has_text) return;
    const auto now = Clock::now();
    if (any_) times_.gaps.push_back(seconds(last_, now));
    if (!any_) times_.first = seconds(begun_, now);
    any_ = true;
    last_ = now;
  }
  void usage(std::string_view text) {
    const auto json = ordered_json::parse(text.substr(text.find('{')), nullptr, false);
    if (json.is_discarded()) return;
    const ordered_json& usage = json["usage"];
    times_.prompt_tokens = usage.value("prompt_tokens", std::int64_t{0});
    times_.tokens = usage.value("completion_tokens", std::int64_t{0});
    if (usage.contains("prompt_tokens_details"))
      times_.cached_tokens = usage["prompt_tokens_details"].value("cached_tokens", std::int64_t{0});
  }

  Clock::time_point begun_, last_;
  AnswerTimes& times_;
  std::string buffer_;
  bool any_ = false;
};

AnswerTimes ask(httplib::Client& client, const std::string& body) {
  AnswerTimes times;
  const auto begun = Clock::now();
  EventReader reader(begun, times);
  std::exception_ptr failure;
  httplib::Request request;
  request.method = "POST";
  request.path = "/v1/completions";
  request.headers = {{"Content-Type", "application/json"}};
  request.body = body;
  request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t /*offset*/,
                                 std::uint64_t /*total*/) {
    try {
      reader.take({data, size});
      return true;
    } catch (...) {
      failure = std::current_exception();
      return false;
    }
  };
  const auto result = client.send(request);
  if (failure) std::rethrow_exception(failure);
  if (!result) throw Error("no answer: " + httplib::to_string(result.error()), "the server under load");
  if (result->status != 200)
    throw Error("answers " + std::to_string(result->status), "the server under load");
  if (!reader.any()) throw Error("an answer without text", "the server under load");
  times.whole = seconds(begun, Clock::now());
  return times;
}

}  // namespace

LoadResult run_load(const LoadPlan& plan, int round) {
  LoadResult result;
  std::mutex mutex;
  std::exception_ptr failure;
  std::atomic<int> next = 0;
  const auto client = [&] {
    try {
      httplib::Client connection(plan.url);
      connection.set_read_timeout(std::chrono::minutes(10));
      connection.set_keep_alive(true);
      connection.set_tcp_nodelay(true);
      for (int i = next++; i < plan.requests; i = next++) {
        const auto seed = static_cast<std::uint64_t>(round) * 1'000'003U + static_cast<std::uint64_t>(i);
        AnswerTimes times = ask(connection, body_of(plan, seed));
        const std::lock_guard lock(mutex);
        result.answers.push_back(std::move(times));
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = plan.requests;
    }
  };
  const auto begun = Clock::now();
  std::vector<std::thread> clients;
  for (int i = 0; i < plan.concurrency; ++i) clients.emplace_back(client);
  for (std::thread& thread : clients) thread.join();
  result.seconds = seconds(begun, Clock::now());
  if (failure) std::rethrow_exception(failure);
  return result;
}

ordered_json load_summary(const LoadPlan& plan, const LoadResult& result) {
  std::int64_t tokens = 0;
  std::int64_t prompt = 0;
  std::int64_t cached = 0;
  std::vector<double> first, gaps, whole;
  for (const AnswerTimes& answer : result.answers) {
    tokens += answer.tokens;
    prompt += answer.prompt_tokens;
    cached += answer.cached_tokens;
    first.push_back(answer.first);
    whole.push_back(answer.whole);
    gaps.insert(gaps.end(), answer.gaps.begin(), answer.gaps.end());
  }
  const auto milliseconds = [](std::vector<double> values) -> ordered_json {
    if (values.empty()) return {{"p50", nullptr}, {"p99", nullptr}};
    std::ranges::sort(values);
    const auto at = [&](double share) {
      return 1e3 * values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
    };
    return {{"p50", at(0.5)}, {"p99", at(0.99)}};
  };
  return {{"concurrency", plan.concurrency},
          {"requests", plan.requests},
          {"promptTokens", prompt},
          {"cachedTokens", cached},
          {"tokens", tokens},
          {"seconds", result.seconds},
          {"tokensPerSecond", static_cast<double>(tokens) / result.seconds},
          {"firstTokenMs", milliseconds(std::move(first))},
          {"betweenTokensMs", milliseconds(std::move(gaps))},
          {"answerMs", milliseconds(std::move(whole))}};
}

}  // namespace stepdown::server
