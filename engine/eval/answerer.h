#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::runtime {
class Engine;
}
namespace stepdown::schema {
class Schema;
}
namespace stepdown::tokenizer {
class ChatEncoder;
}

namespace stepdown::eval {

struct Sample;

struct AnswerOptions {
  std::int64_t max_tokens = 512;
  /// Constrains decoding to the schema; nullptr: free text.
  const nlohmann::ordered_json* schema = nullptr;
};

struct Answer {
  std::string text;           ///< calls of tools included, as the model writes them
  std::string finish_reason;  ///< "stop", "length", or "error"
  std::string error;          ///< why, when finish_reason is "error"
  double latency_ms = 0;      ///< of the whole answer
  std::int64_t tokens = 0;
};

/// Whoever answers the held-out prompts: an engine in this process, or any OpenAI-compatible server.
/// Greedy decoding. Safe from any thread; blocks until the answer is whole.
class Answerer {
 public:
  virtual ~Answerer() = default;
  virtual Answer answer(const Sample& sample, const AnswerOptions& options) = 0;
};

/// `engine` must outlive the answerer. Throws InputError when the chat template cannot be parsed.
std::unique_ptr<Answerer> make_engine_answerer(runtime::Engine& engine,
                                               const tokenizer::ChatEncoder& encoder);

/// `url`: of the API's root, e.g. http://127.0.0.1:8000/v1. Throws InputError on any other scheme.
std::unique_ptr<Answerer> make_http_answerer(const std::string& url, const std::string& model,
                                             const std::string& api_key);

}  // namespace stepdown::eval
