#include "operator/compat/memory_fit.h"

#include <algorithm>

namespace stepdown::compat {
namespace {

constexpr std::int64_t kLongestDefaultContext = 8192;

}  // namespace

std::int64_t context_length(const api::ServingSpec& serving, const api::ModelFacts& model) {
  if (serving.context_length) return *serving.context_length;
  return model.context_length > 0 ? std::min(model.context_length, kLongestDefaultContext)
                                  : kLongestDefaultContext;
}

std::int64_t kv_bytes_per_token(const api::ModelFacts& model, std::string_view kv_type) {
  const std::int64_t fp16 = model.memory.kv_per_token;
  if (kv_type == "int8" || kv_type == "fp8") return fp16 / 2 + fp16 / 32;  // a scale beside every 32 values
  if (kv_type == "int4") return fp16 / 4 + fp16 / 32;
  return fp16;
}

Footprint footprint(const api::QuantizedModelSpec& spec, const api::ModelFacts& model, std::int64_t bytes,
                    std::string_view kv_type) {
  const std::int64_t weights = bytes == model.size ? model.memory.weights : bytes;
  return {weights, kv_bytes_per_token(model, kv_type) * context_length(spec.serving, model),
          model.memory.activations};
}

std::int64_t sequences_that_fit(const api::QuantizedModelSpec& spec, const Footprint& footprint) {
  const std::int64_t asked = spec.serving.concurrency;
  if (!spec.serving.hardware || spec.serving.hardware->memory.empty()) return asked;
  const auto limit = api::parse_quantity(spec.serving.hardware->memory);
  if (!limit || footprint.kv_per_sequence <= 0) return asked;
  const std::int64_t room = *limit - footprint.at(0);
  return std::clamp<std::int64_t>(room / footprint.kv_per_sequence, 0, asked);
}

}  // namespace stepdown::compat
