#include "engine/model/rope.h"

#include <cmath>

namespace stepdown::model {

Rope::Rope(std::int64_t dimensions, float theta, std::span<const float> factors, std::int64_t max_rows) {
  const auto pairs = static_cast<std::size_t>(dimensions / 2);
  for (std::size_t i = 0; i < pairs; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(dimensions);
    const double frequency = std::pow(static_cast<double>(theta), exponent);
    frequencies_.push_back(static_cast<float>(factors.empty() ? frequency : frequency / factors[i]));
  }
  rotations_.resize(static_cast<std::size_t>(max_rows) * pairs * 2);
}

void Rope::set(std::int64_t row, std::int64_t position) {
  float* rotation = rotations_.data() + static_cast<std::size_t>(row) * frequencies_.size() * 2;
  for (const float frequency : frequencies_) {
    const float angle = static_cast<float>(position) * frequency;
    *rotation++ = std::cos(angle);
    *rotation++ = std::sin(angle);
  }
}

void Rope::apply(std::int64_t row, float* values, std::int64_t heads, std::int64_t head_dim) const {
  const std::size_t pairs = frequencies_.size();
  const float* rotation = rotations_.data() + static_cast<std::size_t>(row) * pairs * 2;
  for (std::int64_t head = 0; head < heads; ++head, values += head_dim) {
    for (std::size_t i = 0; i < pairs * 2; i += 2) {
      const float a = values[i];
      const float b = values[i + 1];
      values[i] = a * rotation[i] - b * rotation[i + 1];
      values[i + 1] = a * rotation[i + 1] + b * rotation[i];
    }
  }
}

}  // namespace stepdown::model
