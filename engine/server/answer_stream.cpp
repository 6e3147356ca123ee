#include "engine/server/answer_stream.h"

#include <nlohmann/json.hpp>

namespace stepdown::server {

using nlohmann::ordered_json;

std::string ChunkStream::events(Generation& generation, const Generation::Update& update) {
  Choice& choice = generation.choices()[update.choice];
  const bool begin = !begun_[update.choice];
  if (update.text.empty() && !choice.finish_reason && !begin) return {};
  begun_[update.choice] = true;
  ordered_json chunk =
      chunk_json(generation.head(), generation.request(), update.choice, choice, update.text, begin);
  if (!generation.done()) return sse(chunk);
  const ordered_json confidence = confidence_json(generation.head(), generation.confidence());
  chunk["stepdown"] = confidence;
  std::string text = sse(chunk);
  if (generation.request().include_usage) {
    ordered_json usage = usage_chunk_json(generation.head(), generation.completion_tokens());
    usage["stepdown"] = confidence;
    text += sse(usage);
  }
  return text + "data: [DONE]\n\n";
}

std::string ChunkStream::failure(const ApiError& error) {
  return sse(error.body());
}

}  // namespace stepdown::server
