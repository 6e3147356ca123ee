// The clips of int4 and int8 beside every clip there is to try, in doubles.
#include "engine/quant/methods/rounding.h"

#include <limits>

#include "tests/unit/engine/quant/methods/one_layer.h"

namespace stepdown::quant {
namespace {

struct Case {
  const char* name;
  const char* method;
  int bits;
  const char* granularity;
  bool symmetric;
};

constexpr std::int64_t kGroup = 128;
constexpr std::int64_t kRows = 8;
constexpr std::int64_t kColumns = 4096;  // of 256 steps none is worth the largest of a few weights

/// Squared error of some weights on the grid of a share of their range, as compressed-tensors rounds.
double error_at(std::span<const float> weights, double share, const Case& how) {
  const double top = (1 << how.bits) - 1;
  const auto [least, most] = std::ranges::minmax(weights);
  double low = std::min(0.0, share * static_cast<double>(least));
  double high = std::max(0.0, share * static_cast<double>(most));
  if (how.symmetric) {
    high = std::max(high, -low);
    low = -high;
  }
  const double scale = as_half((high - low) / top);
  const double zero = how.symmetric ? (top + 1) / 2 : std::clamp(std::nearbyint(-low / scale), 0.0, top);
  double sum = 0;
  for (const float weight : weights) {
    const double code = std::clamp(std::nearbyint(static_cast<double>(weight) / scale) + zero, 0.0, top);
    const double error = scale * (code - zero) - static_cast<double>(weight);
    sum += error * error;
  }
  return sum;
}

class Clips : public testing::TestWithParam<Case> {
 protected:
  static WeightSettings settings(bool search) {
    WeightSettings asked;
    asked.granularity = GetParam().granularity;
    if (asked.granularity == "group") asked.group_size = kGroup;
    asked.symmetric = GetParam().symmetric;
    asked.search_clip = search;
    return asked;
  }
  static std::int64_t together() {
    const std::string granularity = GetParam().granularity;
    return granularity == "group" ? kGroup : granularity == "channel" ? kColumns : kRows * kColumns;
  }
};

/// Squared errors of the weights that share a scale.
std::vector<double> errors_of(const Matrix& weight, const Matrix& got, std::int64_t together) {
  std::vector<double> errors(static_cast<std::size_t>(kRows * kColumns / together));
  for (std::size_t i = 0; i < weight.values.size(); ++i) {
    const double error = static_cast<double>(got.values[i]) - static_cast<double>(weight.values[i]);
    errors[i / static_cast<std::size_t>(together)] += error * error;
  }
  return errors;
}

TEST_P(Clips, AreThoseOfLeastSquaredError) {
  const Matrix weight = random_matrix(kRows, kColumns, 17);
  const auto clipped =
      errors_of(weight, quantized(GetParam().method, weight, {}, settings(true)), together());
  const auto whole = errors_of(weight, quantized(GetParam().method, weight, {}, settings(false)), together());
  double sum = 0;
  double sum_of_whole = 0;
  for (std::size_t part = 0; part < clipped.size(); ++part) {
    const auto weights =
        std::span(weight.values)
            .subspan(part * static_cast<std::size_t>(together()), static_cast<std::size_t>(together()));
    double least = std::numeric_limits<double>::infinity();
    for (int step = 0; step < 40; ++step)  // of a fiftieth of the range
      least = std::min(least, error_at(weights, 1 - step / 50.0, GetParam()));
    EXPECT_NEAR(clipped[part], least, 1e-3 * least) << part;
    EXPECT_NEAR(whole[part], error_at(weights, 1, GetParam()), 1e-3 * whole[part]) << part;
    sum += clipped[part];
    sum_of_whole += whole[part];
  }
  EXPECT_LT(sum, (GetParam().bits == 4 ? 0.95 : 0.998) * sum_of_whole);
}

INSTANTIATE_TEST_SUITE_P(Granularities, Clips,
                         testing::Values(Case{"int4_group", "int4", 4, "group", true},
                                         Case{"int4_group_asymmetric", "int4", 4, "group", false},
                                         Case{"int4_channel", "int4", 4, "channel", true},
                                         Case{"int4_tensor", "int4", 4, "tensor", true},
                                         Case{"int8_channel", "int8", 8, "channel", true},
                                         Case{"int8_channel_asymmetric", "int8", 8, "channel", false},
                                         Case{"int8_tensor", "int8", 8, "tensor", true}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace stepdown::quant
