#include "engine/fetch/retry.h"

#include <algorithm>
#include <ctime>
#include <random>
#include <thread>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"

namespace stepdown::fetch {

std::optional<std::chrono::seconds> parse_retry_after(std::string_view text,
                                                      std::chrono::system_clock::time_point now) {
  constexpr std::size_t kDigits = 9;
  if (text.empty()) return std::nullopt;
  if (text.size() <= kDigits && text.find_first_not_of("0123456789") == std::string_view::npos) {
    return std::chrono::seconds(std::stol(std::string(text)));
  }
  std::tm time{};
  const std::string copy(text);
  const char* end = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const auto at = std::chrono::system_clock::from_time_t(::timegm(&time));
  return std::max(std::chrono::seconds(0), std::chrono::ceil<std::chrono::seconds>(at - now));
}

std::optional<std::chrono::milliseconds> Backoff::next(std::optional<std::chrono::seconds> asked,
                                                       double chance) {
  if (++failed_ >= policy_.tries) return std::nullopt;
  if (asked && *asked > policy_.longest_asked) return std::nullopt;
  constexpr int kMostDoublings = 20;
  const auto full = std::min(policy_.longest, policy_.first * (1 << std::min(failed_ - 1, kMostDoublings)));
  const auto drawn = std::chrono::milliseconds(
      static_cast<std::int64_t>(static_cast<double>(full.count()) * (0.5 + chance / 2)));
  return asked ? std::max<std::chrono::milliseconds>(*asked, drawn) : drawn;
}

void wait_or_throw(Backoff& backoff, const Setback& setback, const std::string& where) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto delay = backoff.next(setback.asked, std::uniform_real_distribution<double>(0, 1)(random));
  if (!delay) {
    throw NetworkError(setback.reason, where,
                       "run again later: what has come is kept, and the rest is fetched");
  }
  log::warn("trying again", {{"reason", setback.reason}, {"where", where}, {"in_ms", delay->count()}});
  std::this_thread::sleep_for(*delay);
}

Setback setback_of(const HttpAnswer& answer) {
  return {"HTTP " + std::to_string(answer.status),
          parse_retry_after(answer.header("retry-after"), std::chrono::system_clock::now())};
}

HttpAnswer ask_patiently(const Http& http, const RetryPolicy& policy,
                         const std::function<HttpRequest()>& request, std::size_t limit) {
  Backoff backoff(policy);
  for (;;) {
    const HttpRequest next = request();
    Setback setback;
    try {
      HttpAnswer answer = http.ask(next, limit);
      if (!passes(answer.status)) return answer;
      setback = setback_of(answer);
    } catch (const NetworkError& error) {
      setback.reason = error.what();
    }
    wait_or_throw(backoff, setback, next.url.origin());
  }
}

}  // namespace stepdown::fetch
