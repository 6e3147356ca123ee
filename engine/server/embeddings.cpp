#include "engine/server/embeddings.h"

#include <array>
#include <bit>
#include <span>

#include <nlohmann/json.hpp>

#include "engine/server/api_error.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    unsigned word = 0;
    for (std::size_t k = 0; k < 3; ++k)
      word = word << 8 | (k < count ? std::to_integer<unsigned>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k) text += k <= count ? kLetters[word >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

}  // namespace

EmbeddingRequest parse_embedding_request(std::string_view body) {
  const ordered_json json = parse_body(body);
  const auto member = [&json](const char* name) -> const ordered_json* {
    const auto found = json.find(name);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  };
  EmbeddingRequest request;
  const ordered_json* model = member("model");
  if (model == nullptr || !model->is_string())
    throw ApiError(400, "invalid_value", "'model' must name a model", "model");
  request.model = model->get<std::string>();
  request.inputs = read_prompts(member("input"), "input");
  if (member("dimensions") != nullptr)
    throw ApiError(400, "unsupported_parameter", "'dimensions' is not supported", "dimensions");
  if (const ordered_json* format = member("encoding_format")) {
    if (*format != "float" && *format != "base64")
      throw ApiError(400, "invalid_value", "'encoding_format' must be float or base64", "encoding_format");
    request.base64 = *format == "base64";
  }
  return request;
}

ordered_json embeddings_json(const EmbeddingRequest& request, const std::vector<std::vector<float>>& vectors,
                             std::int64_t tokens) {
  static_assert(std::endian::native == std::endian::little, "base64 vectors are little-endian");
  ordered_json data = ordered_json::array();
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    data.push_back({{"object", "embedding"},
                    {"index", i},
                    {"embedding", request.base64 ? ordered_json(base64(std::as_bytes(std::span(vectors[i]))))
                                                 : ordered_json(vectors[i])}});
  }
  return {{"object", "list"},
          {"data", std::move(data)},
          {"model", request.model},
          {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
}

}  // namespace stepdown::server
