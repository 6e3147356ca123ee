#include "engine/server/generation.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "engine/server/api_error.h"
#include "engine/server/refusal.h"

namespace stepdown::server {

using Clock = std::chrono::steady_clock;

/// Between the engine's thread and the request's. Callbacks share it, so that late events find it alive.
struct Generation::Mailbox {
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<std::pair<std::size_t, runtime::TokenEvent>> events;
};

namespace {

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Generation::Generation(runtime::Engine& engine, Metrics& metrics, Request request, AnswerHead head,
                       std::vector<runtime::GenerateRequest> sequences, const ToolFormat& tool_format,
                       const std::optional<schema::PrefixMatcher>& language, std::string_view written)
    : engine_(engine),
      metrics_(metrics),
      request_(std::move(request)),
      head_(std::move(head)),
      tokenizer_(engine.tokenizer()),
      mailbox_(std::make_shared<Mailbox>()) {
  check_count(sequences.size(), engine_, request_.n > 1 ? "n" : "prompt");
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    sequences[i].on_event = [mailbox = mailbox_, i](const runtime::TokenEvent& event) {
      const std::lock_guard lock(mailbox->mutex);
      mailbox->events.emplace_back(i, event);
      mailbox->arrived.notify_one();
    };
    choices_.emplace_back(request_, language);
    if (request_.tools.choice != ToolUse::Choice::kNone && request_.language.any_text())
      choices_.back()
          .splitter
          .emplace(tool_format, request_.tools.choice == ToolUse::Choice::kRequired, request_.tools.parallel)
          .go_on_from(written);
    last_token_.push_back(start_);
    const bool shared = i % static_cast<std::size_t>(request_.n) != 0;
    prompt_tokens_.push_back(shared ? 0 : static_cast<std::int64_t>(sequences[i].prompt.size()));
  }
  auto submitted = engine_.submit_all(std::move(sequences));
  if (submitted.refusal) refuse(*submitted.refusal, engine_, request_.chat ? "messages" : "prompt");
  ids_ = std::move(submitted.ids);
  open_ = choices_.size();
}

Generation::~Generation() {
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    if (choices_[i].finish_reason) continue;
    engine_.cancel(ids_[i]);
    metrics_.finished("abort", seconds_since(start_));
  }
}

std::int64_t Generation::completion_tokens() const {
  std::int64_t total = 0;
  for (const Choice& choice : choices_) total += choice.tokens;
  return total;
}

std::optional<Generation::Update> Generation::next(std::chrono::milliseconds timeout) {
  std::pair<std::size_t, runtime::TokenEvent> arrived;
  {
    std::unique_lock lock(mailbox_->mutex);
    if (!mailbox_->arrived.wait_for(lock, timeout, [this] { return !mailbox_->events.empty(); }))
      return std::nullopt;
    arrived = std::move(mailbox_->events.front());
    mailbox_->events.pop_front();
  }
  return take(arrived.first, arrived.second);
}

Generation::Update Generation::take(std::size_t index, const runtime::TokenEvent& event) {
  Choice& choice = choices_[index];
  if (choice.finish_reason)
    return {index, {}};  // it stopped at a stop string; what the engine still sent is dropped
  std::string text;
  std::optional<std::string> reason;
  if (event.token >= 0) {
    if (choice.tokens == 0) metrics_.prompt_tokens(prompt_tokens_[index]);
    text = choice.text.push(take_token(choice, event, last_token_[index]));
    if (choice.text.stopped()) {
      engine_.cancel(ids_[index]);
      reason = "stop";
    }
  }
  if (event.finish && !reason) {
    if (event.too_ambiguous) refuse_ambiguous(choice);
    metrics_.timing(event.timing);
    if (index % static_cast<std::size_t>(request_.n) == 0) head_.cached_tokens += event.timing.prefix_tokens;
    reason = reason_of(*event.finish, choice);
    text += choice.text.finish();
  }
  if (choice.splitter) text = choice.splitter->push(text);
  if (reason) {
    if (choice.splitter) {
      ToolCallSplitter::End end = choice.splitter->finish();
      text += end.content;
      choice.calls = std::move(end.calls);
      if (!choice.calls.empty() && *reason == "stop" && !request_.tools.named) reason = "tool_calls";
    }
    close(index, std::move(*reason));
  }
  choice.full += text;
  return {index, std::move(text)};
}

std::string Generation::take_token(Choice& choice, const runtime::TokenEvent& event,
                                   Clock::time_point& last) {
  std::string bytes(tokenizer_->bytes(event.token));
  if (choice.splitter && bytes.empty())
    bytes = tokenizer_->decode({&event.token, 1}, true);  // marks of calls
  confidence_.add(event);
  metrics_.token(seconds_since(last), ++choice.tokens == 1);
  last = Clock::now();
  if (!request_.logprobs) return bytes;
  TokenLogprob logprob{bytes, event.logprob, {}, choice.full.size()};
  for (const auto& [id, value] : event.top_logprobs)
    logprob.top.emplace_back(tokenizer_->decode({&id, 1}, true), value);
  choice.logprobs.push_back(std::move(logprob));
  return bytes;
}

void Generation::refuse_ambiguous(Choice& choice) {
  metrics_.finished("error", seconds_since(start_));
  choice.finish_reason = "error";
  throw ApiError(400, "grammar_too_ambiguous",
                 "there are too many ways to read the answer by its grammar or schema; write it so that its "
                 "alternatives begin differently, and repeats do not hold repeats of the same");
}

/// Throws what ends the whole request.
std::string Generation::reason_of(runtime::FinishReason reason, Choice& choice) {
  switch (reason) {
    case runtime::FinishReason::kStop:
      return "stop";
    case runtime::FinishReason::kLength:
      return "length";
    case runtime::FinishReason::kCancelled:
      refuse(reason);
    case runtime::FinishReason::kDeadline:
      metrics_.finished("abort", seconds_since(start_));
      choice.finish_reason = "error";
      refuse(reason);
    case runtime::FinishReason::kNonFinite:
      break;
  }
  metrics_.finished("error", seconds_since(start_));
  choice.finish_reason = "error";
  throw ApiError(500, "nonfinite_logits", "the model computed values that are not finite");
}

void Generation::close(std::size_t index, std::string reason) {
  metrics_.finished(reason, seconds_since(start_));
  choices_[index].finish_reason = std::move(reason);
  --open_;
}

}  // namespace stepdown::server
