#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/runtime/engine.h"
#include "engine/server/answer.h"
#include "engine/server/metrics.h"
#include "engine/server/request.h"

namespace stepdown::server {

/// One request at work in the engine: its choices grow as the engine's events are taken in. One thread at a
/// time; destroying it cancels what still runs.
class Generation {
 public:
  /// Submits one sequence a choice. `language`: what choices must be, from where their prompts end;
  /// `written`: what of them stands in the prompt. Throws
  /// ApiError: 429 when the queue is full, 400 when the prompt is too long.
  Generation(runtime::Engine& engine, Metrics& metrics, Request request, AnswerHead head,
             std::vector<runtime::GenerateRequest> sequences, const ToolFormat& tool_format,
             const std::optional<schema::PrefixMatcher>& language, std::string_view written);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  struct Update {
    std::size_t choice;
    std::string text;  ///< may be empty
  };
  /// Takes in the next event; nullopt when none came in time. Throws ApiError when the engine failed.
  std::optional<Update> next(std::chrono::milliseconds timeout);
  bool done() const { return open_ == 0; }

  const Request& request() const { return request_; }
  const AnswerHead& head() const { return head_; }
  std::vector<Choice>& choices() { return choices_; }
  const Confidence& confidence() const { return confidence_; }
  std::int64_t completion_tokens() const;

 private:
  struct Mailbox;

  Update take(std::size_t index, const runtime::TokenEvent& event);
  /// Counts a token; its text.
  std::string take_token(Choice& choice, const runtime::TokenEvent& event,
                         std::chrono::steady_clock::time_point& last);
  [[noreturn]] void refuse_ambiguous(Choice& choice);
  std::string reason_of(runtime::FinishReason reason, Choice& choice);
  void close(std::size_t index, std::string reason);

  runtime::Engine& engine_;
  Metrics& metrics_;
  Request request_;
  AnswerHead head_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::shared_ptr<Mailbox> mailbox_;
  std::vector<Choice> choices_;
  std::vector<runtime::Engine::RequestId> ids_;
  std::vector<std::chrono::steady_clock::time_point> last_token_;
  std::vector<std::int64_t> prompt_tokens_;  ///< of each choice; of choices that share a prompt, the first's
  Confidence confidence_;
  std::size_t open_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace stepdown::server
