#include "engine/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace stepdown::model {
namespace {

using Kind = formats::RopeScaling::Kind;

/// The pair that turns `turns` times within the original context, as a real number.
double pair_of_turns(double turns, double dimensions, double theta, double context) {
  return dimensions * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

/// YaRN: fast pairs stay, slow ones are interpolated, those between blended.
void scale_by_parts(std::vector<float>& frequencies, double theta, const formats::RopeScaling& scaling) {
  const double dimensions = 2.0 * static_cast<double>(frequencies.size());
  const double context = scaling.original_context;
  const double first =
      std::max(0.0, std::floor(pair_of_turns(scaling.beta_fast, dimensions, theta, context)));
  const double last =
      std::min(dimensions - 1, std::ceil(pair_of_turns(scaling.beta_slow, dimensions, theta, context)));
  const double width = std::max(last - first, 0.001);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double slow = std::clamp((static_cast<double>(i) - first) / width, 0.0, 1.0);
    frequencies[i] *= static_cast<float>(slow / static_cast<double>(scaling.factor) + (1.0 - slow));
  }
}

}  // namespace

RopeFrequencies rope_frequencies(std::int64_t dimensions, float theta, std::span<const float> factors,
                                 const formats::RopeScaling& scaling) {
  RopeFrequencies result;
  for (std::int64_t i = 0; i < dimensions / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(dimensions);
    const double frequency = std::pow(static_cast<double>(theta), exponent);
    const double factor = factors.empty() ? 1.0 : static_cast<double>(factors[static_cast<std::size_t>(i)]);
    result.frequencies.push_back(static_cast<float>(frequency / factor));
  }
  if (scaling.kind == Kind::kLinear) {
    for (float& frequency : result.frequencies) frequency /= scaling.factor;
  } else if (scaling.kind == Kind::kYarn) {
    scale_by_parts(result.frequencies, static_cast<double>(theta), scaling);
    const float stretched = scaling.factor > 1.0f ? 0.1f * std::log(scaling.factor) + 1.0f : 1.0f;
    result.magnitude = scaling.attention_factor > 0.0f ? scaling.attention_factor : stretched;
  } else if (scaling.kind == Kind::kLong && scaling.attention_factor > 0.0f) {
    result.magnitude = scaling.attention_factor;
  }
  return result;
}

Rope::Rope(RopeFrequencies frequencies, RopeLayout layout, std::int64_t max_rows)
    : frequencies_(std::move(frequencies)), layout_(layout) {
  rotations_.resize(static_cast<std::size_t>(max_rows) * frequencies_.frequencies.size() * 2);
}

void Rope::set(std::int64_t row, std::int64_t position) {
  float* rotation = rotations_.data() + static_cast<std::size_t>(row) * frequencies_.frequencies.size() * 2;
  for (const float frequency : frequencies_.frequencies) {
    const float angle = static_cast<float>(position) * frequency;
    *rotation++ = std::cos(angle) * frequencies_.magnitude;
    *rotation++ = std::sin(angle) * frequencies_.magnitude;
  }
}

void Rope::apply(std::int64_t row, float* values, std::int64_t heads, std::int64_t head_dim) const {
  const std::size_t pairs = frequencies_.frequencies.size();
  const float* rotation = rotations_.data() + static_cast<std::size_t>(row) * pairs * 2;
  const std::size_t step = layout_ == RopeLayout::kNeighbours ? 2 : 1;  // from pair to pair
  const std::size_t apart = layout_ == RopeLayout::kNeighbours ? 1 : pairs;
  for (std::int64_t head = 0; head < heads; ++head, values += head_dim) {
    for (std::size_t i = 0; i < pairs; ++i) {
      float& left = values[i * step];
      float& right = values[i * step + apart];
      const float a = left;
      const float b = right;
      left = a * rotation[2 * i] - b * rotation[2 * i + 1];
      right = a * rotation[2 * i + 1] + b * rotation[2 * i];
    }
  }
}

}  // namespace stepdown::model
