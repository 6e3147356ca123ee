#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::server {

/// Streaming completions, so many at a time.
struct LoadPlan {
  std::string url;     ///< "http://host:port" of any server with OpenAI's API
  std::string model;   ///< its name there
  std::string shared;  ///< text that every prompt begins with
  int concurrency = 1;
  int requests = 1;
  int prompt_words = 0;  ///< behind it, other ones in every request
  std::int64_t generate = 0;
  std::string extra;  ///< a JSON object of further fields of the request; empty: none
};

/// When what came, in seconds.
struct AnswerTimes {
  double first = 0.0;        ///< from the request to its first token
  double whole = 0.0;        ///< to its end
  std::vector<double> gaps;  ///< between events
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  ///< of them, those the server had computed before
  std::int64_t tokens = 0;
};

struct LoadResult {
  double seconds = 0.0;  ///< all of it
  std::vector<AnswerTimes> answers;
};

/// `round`: prompts of other rounds are others. Throws Error when a request fails.
LoadResult run_load(const LoadPlan& plan, int round);

/// Concurrency, tokens per second, and medians and 99th percentiles in milliseconds.
nlohmann::ordered_json load_summary(const LoadPlan& plan, const LoadResult& result);

}  // namespace stepdown::server
