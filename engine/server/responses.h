#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/server/answer.h"
#include "engine/server/answer_stream.h"
#include "engine/server/api_error.h"

namespace stepdown::server {

/// The chat completion that a body of POST /v1/responses asks for. Nothing is stored here: what refers to
/// earlier responses, and tools that only OpenAI runs, are refused by an ApiError that names the field.
nlohmann::ordered_json chat_body_of_response(const nlohmann::ordered_json& body);

/// What is wrong with that chat completion, by the names that the response's body has for it.
ApiError error_of_response(const ApiError& error);

/// The whole response. `body`: the request's, whose settings are told again.
nlohmann::ordered_json response_json(const AnswerHead& head, const nlohmann::ordered_json& body,
                                     const Choice& choice, const Confidence& confidence);

/// A response as typed events.
class ResponseStream final : public AnswerStream {
 public:
  explicit ResponseStream(nlohmann::ordered_json body) : body_(std::move(body)) {}
  std::string events(Generation& generation, const Generation::Update& update) override;
  std::string failure(const ApiError& error) override;

 private:
  std::string event(const char* type, nlohmann::ordered_json fields);
  std::string begin(const Generation& generation);
  std::string begin_text(const Generation& generation);
  std::string end(Generation& generation);

  nlohmann::ordered_json body_;
  std::int64_t sequence_ = 0;
  bool begun_ = false;
  bool text_begun_ = false;
};

}  // namespace stepdown::server
