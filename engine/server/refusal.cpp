#include "engine/server/refusal.h"

#include "engine/server/api_error.h"

namespace stepdown::server {
namespace {

[[noreturn]] void refuse_stopping() {
  throw ApiError(503, "shutting_down", "the server is shutting down");
}

}  // namespace

void check_count(std::size_t sequences, const runtime::Engine& engine, const std::string& param) {
  if (sequences <= engine.most_at_once()) return;
  refuse(param, "asks for " + std::to_string(sequences) +
                    " sequences at once; this server decodes and lets wait " +
                    std::to_string(engine.most_at_once()) +
                    " at most: ask in several requests, or serve with a larger --max-queue");
}

void refuse(runtime::Engine::Refusal refusal, const runtime::Engine& engine, const std::string& param) {
  switch (refusal) {
    case runtime::Engine::Refusal::kQueueFull:
      throw ApiError(429, "overloaded", "the queue is full; try again after the time that Retry-After gives");
    case runtime::Engine::Refusal::kPromptTooLong:
      throw ApiError(400, "context_length_exceeded",
                     "the prompt leaves no room in the context of " +
                         std::to_string(engine.options().context) + " tokens",
                     param);
    case runtime::Engine::Refusal::kStopping:
      break;
  }
  refuse_stopping();
}

void refuse(runtime::FinishReason reason) {
  if (reason == runtime::FinishReason::kDeadline)
    throw ApiError(504, "deadline_exceeded", "the answer was not done within 'deadline_ms'");
  refuse_stopping();
}

}  // namespace stepdown::server
