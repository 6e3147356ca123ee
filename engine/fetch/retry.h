#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/fetch/http.h"

namespace stepdown::fetch {

/// Seconds to wait by a Retry-After header: a number, or an HTTP date. nullopt: neither.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view text,
                                                      std::chrono::system_clock::time_point now);

struct RetryPolicy {
  int tries = 8;  ///< in a row without a byte
  std::chrono::milliseconds first{500};
  std::chrono::milliseconds longest{30'000};
  std::chrono::seconds longest_asked{300};  ///< what a server may ask for; more counts as a refusal
};

/// How long to wait before each further try: doubling, each drawn at random from its upper half, so that many
/// clients do not come back at once; never less than the server asks for.
class Backoff {
 public:
  explicit Backoff(RetryPolicy policy) : policy_(policy) {}

  /// nullopt: enough was tried. `chance` in [0, 1).
  std::optional<std::chrono::milliseconds> next(std::optional<std::chrono::seconds> asked, double chance);
  /// Something came: what went wrong before no longer counts.
  void progressed() { failed_ = 0; }

 private:
  RetryPolicy policy_;
  int failed_ = 0;
};

/// Why a try failed; empty: it did not.
struct Setback {
  std::string reason;
  std::optional<std::chrono::seconds> asked;
};

/// Waits before the next try and says so in the log; throws Error with `setback.reason` once enough was
/// tried.
void wait_or_throw(Backoff& backoff, const Setback& setback, const std::string& where);

/// Asks until the answer is one that stays (see passes()). Throws as Http::ask, and NetworkError in the end.
HttpAnswer ask_patiently(const Http& http, const RetryPolicy& policy,
                         const std::function<HttpRequest()>& request, std::size_t limit);

/// What an answer that may pass says about the next try.
Setback setback_of(const HttpAnswer& answer);

}  // namespace stepdown::fetch
