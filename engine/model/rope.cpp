#include "engine/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/model/lanes.h"

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

// A head's elements, each times its own factor and its partner times another: two rows of `width` factors.
// The partner is the element beside it.
void turn_neighbours(float* head, const float* factors, std::int64_t width) {
  std::int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    const Lanes x = load_lanes(head + i);
    const Lanes partners = __builtin_shufflevector(x, x, 1, 0, 3, 2);
    store_lanes(head + i, x * load_lanes(factors + i) + partners * load_lanes(factors + width + i));
  }
  if (i == width) return;
  const float left = head[i];
  const float right = head[i + 1];
  head[i] = left * factors[i] + right * factors[width + i];
  head[i + 1] = right * factors[i + 1] + left * factors[width + i + 1];
}

// The partner is half the width away.
void turn_halves(float* head, const float* factors, std::int64_t width) {
  const std::int64_t pairs = width / 2;
  std::int64_t i = 0;
  for (; i + kLanes <= pairs; i += kLanes) {
    const Lanes left = load_lanes(head + i);
    const Lanes right = load_lanes(head + pairs + i);
    const Lanes own = load_lanes(factors + i);  // the same for both
    store_lanes(head + i, left * own + right * load_lanes(factors + width + i));
    store_lanes(head + pairs + i, right * own + left * load_lanes(factors + width + pairs + i));
  }
  for (; i < pairs; ++i) {
    const float left = head[i];
    const float right = head[pairs + i];
    head[i] = left * factors[i] + right * factors[width + i];
    head[pairs + i] = right * factors[i] + left * factors[width + pairs + i];
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
    : frequencies_(std::move(frequencies)),
      layout_(layout),
      width_(static_cast<std::int64_t>(2 * frequencies_.frequencies.size())),
      rotations_(static_cast<std::size_t>(max_rows * 2 * width_)) {}

void Rope::set(std::int64_t row, std::int64_t position) {
  const bool neighbours = layout_ == RopeLayout::kNeighbours;
  const std::int64_t pairs = width_ / 2;
  float* own = rotations_.data() + row * 2 * width_;
  float* partners = own + width_;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const float angle = static_cast<float>(position) * frequencies_.frequencies[static_cast<std::size_t>(i)];
    const std::int64_t left = neighbours ? 2 * i : i;
    const std::int64_t right = neighbours ? left + 1 : left + pairs;
    own[left] = own[right] = std::cos(angle) * frequencies_.magnitude;
    partners[right] = std::sin(angle) * frequencies_.magnitude;
    partners[left] = -partners[right];
  }
}

void Rope::apply(std::int64_t row, float* values, std::int64_t heads, std::int64_t head_dim) const {
  const float* own = rotations_.data() + row * 2 * width_;
  const auto turn = layout_ == RopeLayout::kNeighbours ? turn_neighbours : turn_halves;
  for (std::int64_t head = 0; head < heads; ++head, values += head_dim) turn(values, own, width_);
}

}  // namespace stepdown::model
