#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/eval/answerer.h"
#include "engine/eval/dataset.h"
#include "engine/runtime/engine.h"
#include "engine/schema/schema.h"
#include "engine/tokenizer/chat_encoder.h"

namespace stepdown::eval {
namespace {

using Clock = std::chrono::steady_clock;
using runtime::Engine;
using runtime::FinishReason;

const char* refusal_text(Engine::Refusal refusal) {
  switch (refusal) {
    case Engine::Refusal::kQueueFull:
      return "the engine's queue is full";
    case Engine::Refusal::kPromptTooLong:
      return "the prompt is longer than the context";
    case Engine::Refusal::kStopping:
      return "the engine is stopping";
  }
  return "refused";
}

class EngineAnswerer : public Answerer {
 public:
  EngineAnswerer(Engine& engine, const tokenizer::ChatEncoder& encoder)
      : engine_(engine), tokenizer_(engine.tokenizer()), encoder_(encoder) {}

  Answer answer(const Sample& sample, const AnswerOptions& options) override {
    runtime::GenerateRequest request;
    request.prompt = encoder_.prompt(sample.messages, sample.tools);
    request.max_tokens = options.max_tokens;
    if (options.schema != nullptr) {
      request.constraint = engine_.constraints().make(schema::Schema::compile(*options.schema));
    }
    std::vector<runtime::TokenId> ids;
    std::promise<FinishReason> finished;
    request.on_event = [&](const runtime::TokenEvent& event) {
      if (event.token >= 0 && !tokenizer_->is_end(event.token)) ids.push_back(event.token);
      if (event.finish) finished.set_value(*event.finish);
    };
    const auto start = Clock::now();
    const auto submitted = engine_.submit(std::move(request));
    Answer result;
    if (submitted.refusal) {
      result.finish_reason = "error";
      result.error = refusal_text(*submitted.refusal);
      return result;
    }
    const FinishReason finish = finished.get_future().get();
    result.latency_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    result.tokens = static_cast<std::int64_t>(ids.size());
    result.text = tokenizer_->decode(ids);
    switch (finish) {
      case FinishReason::kStop:
        result.finish_reason = "stop";
        break;
      case FinishReason::kLength:
        result.finish_reason = "length";
        break;
      case FinishReason::kNonFinite:
        result.finish_reason = "error";
        result.error = "non-finite logits";
        break;
      case FinishReason::kCancelled:
      case FinishReason::kDeadline:
        result.finish_reason = "error";
        result.error = "cancelled";
        break;
    }
    return result;
  }

 private:
  Engine& engine_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  const tokenizer::ChatEncoder& encoder_;
};

}  // namespace

std::unique_ptr<Answerer> make_engine_answerer(Engine& engine, const tokenizer::ChatEncoder& encoder) {
  return std::make_unique<EngineAnswerer>(engine, encoder);
}

}  // namespace stepdown::eval
