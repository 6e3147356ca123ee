#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/runtime/engine.h"
#include "engine/server/request.h"

namespace stepdown::server {

/// The body of POST /v1/embeddings, checked.
struct EmbeddingRequest {
  std::string model;
  std::vector<Prompt> inputs;
  bool base64 = false;  ///< little-endian floats, as OpenAI's own client asks for them
  Standing standing;
};

/// Throws ApiError that names the parameter.
EmbeddingRequest parse_embedding_request(std::string_view body);

/// Vectors at work in the engine's queue, as Generation is an answer at work: destroying it cancels what
/// runs.
class Embedding {
 public:
  /// Throws ApiError: 429 when the queue is full, 400 for texts that are too many, too long or empty.
  Embedding(runtime::Engine& engine, std::vector<runtime::EmbedRequest> texts);
  ~Embedding();
  Embedding(const Embedding&) = delete;
  Embedding& operator=(const Embedding&) = delete;

  /// Waits so long for a vector to be done; true when all are. Throws ApiError when the engine ended one.
  bool done_within(std::chrono::milliseconds timeout);
  const std::vector<std::vector<float>>& vectors() const { return vectors_; }

 private:
  runtime::Engine& engine_;
  runtime::Engine::SubmittedAll submitted_;
  std::vector<std::vector<float>> vectors_;  ///< of the first texts
};

nlohmann::ordered_json embeddings_json(const EmbeddingRequest& request,
                                       const std::vector<std::vector<float>>& vectors, std::int64_t tokens);

}  // namespace stepdown::server
