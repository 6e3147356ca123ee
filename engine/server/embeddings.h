#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/server/request.h"

namespace stepdown::server {

/// The body of POST /v1/embeddings, checked.
struct EmbeddingRequest {
  std::string model;
  std::vector<Prompt> inputs;
  bool base64 = false;  ///< little-endian floats, as OpenAI's own client asks for them
};

/// Throws ApiError that names the parameter.
EmbeddingRequest parse_embedding_request(std::string_view body);

nlohmann::ordered_json embeddings_json(const EmbeddingRequest& request,
                                       const std::vector<std::vector<float>>& vectors, std::int64_t tokens);

}  // namespace stepdown::server
