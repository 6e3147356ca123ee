#include "engine/server/embeddings.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>

#include <nlohmann/json.hpp>

#include "engine/base/bounded_json.h"
#include "engine/server/api_error.h"
#include "engine/server/refusal.h"

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
  EmbeddingRequest request;
  const ordered_json* model = member(json, "model");
  if (model == nullptr || !model->is_string())
    throw ApiError(400, "invalid_value", "'model' must name a model", "model");
  request.model = model->get<std::string>();
  request.inputs = read_prompts(member(json, "input"), "input");
  if (member(json, "dimensions") != nullptr)
    throw ApiError(400, "unsupported_parameter", "'dimensions' is not supported", "dimensions");
  if (const ordered_json* format = member(json, "encoding_format")) {
    if (*format != "float" && *format != "base64")
      throw ApiError(400, "invalid_value", "'encoding_format' must be float or base64", "encoding_format");
    request.base64 = *format == "base64";
  }
  request.standing = read_standing(json);
  return request;
}

Embedding::Embedding(runtime::Engine& engine, std::vector<runtime::EmbedRequest> texts) : engine_(engine) {
  check_count(texts.size(), engine, "input");
  for (const runtime::EmbedRequest& text : texts) {
    if (static_cast<std::int64_t>(text.tokens.size()) <= engine.options().context) continue;
    throw ApiError(400, "context_length_exceeded",
                   "a text has " + std::to_string(text.tokens.size()) + " tokens, the context only " +
                       std::to_string(engine.options().context) +
                       "; shorten it, or serve with a larger --context",
                   "input");
  }
  try {
    submitted_ = engine.submit_all(std::move(texts));
  } catch (const InputError& error) {
    throw ApiError(400, "invalid_value", error.what(), "input");
  }
  if (submitted_.refusal) refuse(*submitted_.refusal, engine, "input");
}

Embedding::~Embedding() {
  for (std::size_t i = vectors_.size(); i < submitted_.ids.size(); ++i) engine_.cancel(submitted_.ids[i]);
}

bool Embedding::done_within(std::chrono::milliseconds timeout) {
  if (vectors_.size() == submitted_.vectors.size()) return true;
  auto& next = submitted_.vectors[vectors_.size()];
  if (next.wait_for(timeout) != std::future_status::ready) return false;
  try {
    vectors_.push_back(next.get());
  } catch (const runtime::Unfinished& ended) {
    refuse(ended.reason());
  }
  if (!std::ranges::all_of(vectors_.back(), [](float value) { return std::isfinite(value); }))
    throw ApiError(500, "nonfinite_logits", "the model computed values that are not finite");
  return vectors_.size() == submitted_.vectors.size();
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
