#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/runtime/engine.h"
#include "engine/server/answer_text.h"
#include "engine/server/request.h"
#include "engine/server/tool_format.h"

namespace stepdown::server {

/// What the model's confidence was over the tokens of one or more choices.
struct Confidence {
  double logprob_sum = 0, entropy_sum = 0;
  double logprob_min = 0;
  std::int64_t tokens = 0;
  void add(const runtime::TokenEvent& event);
};

/// A token with its probability, as both APIs' logprobs need it.
struct TokenLogprob {
  std::string bytes;
  float logprob;
  std::vector<std::pair<std::string, float>> top;
  std::size_t offset;  ///< characters of text before it
};

/// One choice as it grows.
struct Choice {
  /// `language`: as AnswerText's.
  explicit Choice(const Request& request, std::optional<schema::PrefixMatcher> language = std::nullopt)
      : text(request.stop, std::move(language)) {}

  AnswerText text;
  std::string full;                    ///< text released so far
  std::vector<TokenLogprob> logprobs;  ///< tokens whose logprobs are not sent yet
  std::int64_t tokens = 0;
  std::optional<std::string> finish_reason;
  std::optional<ToolCallSplitter> splitter;  ///< where tools may be called
  std::vector<ToolCall> calls;               ///< known once the choice is finished
};

/// Everything that answers share: ids, names, counts.
struct AnswerHead {
  std::string id;
  std::int64_t created = 0;
  std::string model;
  std::string revision;
  bool chat = false;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  ///< of them, those that an earlier request had computed
};

/// An id of a tool's call, as short as Mistral's templates want it: nine letters or digits.
std::string call_id(const AnswerHead& head, std::size_t choice, std::size_t call);
/// Tokens with their probabilities as the responses API tells them.
nlohmann::ordered_json output_logprobs(const std::vector<TokenLogprob>& tokens);
nlohmann::ordered_json usage_json(const AnswerHead& head, std::int64_t completion_tokens);
nlohmann::ordered_json confidence_json(const AnswerHead& head, const Confidence& confidence);
/// The whole answer.
nlohmann::ordered_json answer_json(const AnswerHead& head, const Request& request,
                                   const std::vector<Choice>& choices, const Confidence& confidence);
/// One chunk of a stream: `text` and the logprobs that wait in `choice`. `role`: the first chunk of a chat's
/// choice.
nlohmann::ordered_json chunk_json(const AnswerHead& head, const Request& request, std::size_t index,
                                  Choice& choice, const std::string& text, bool role);
/// The chunk that follows all choices when usage was asked for.
nlohmann::ordered_json usage_chunk_json(const AnswerHead& head, std::int64_t completion_tokens);
/// "data: …\n\n"
std::string sse(const nlohmann::ordered_json& event);

}  // namespace stepdown::server
