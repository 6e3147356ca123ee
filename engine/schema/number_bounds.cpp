#include "engine/schema/number_bounds.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

constexpr int kPlaces = 8;
constexpr double kLargestNumber = 9'999'999'999.0;
constexpr std::int64_t kLargestInteger = 999'999'999'999'999'999;

struct Bound {
  double value;
  bool exclusive;
};

/// The tighter of two keywords, e.g. minimum and exclusiveMinimum; `sign` 1 for lower bounds, −1 for upper
/// ones.
Bound bound_of(const ordered_json& schema, const char* inclusive, const char* exclusive, double sign,
               const std::string& path) {
  Bound bound{-sign * std::numeric_limits<double>::infinity(), false};
  for (const char* keyword : {inclusive, exclusive}) {
    if (!schema.contains(keyword)) continue;
    if (!schema[keyword].is_number())
      throw InputError("'" + std::string(keyword) + "' must be a number", path + "/" + keyword);
    const auto value = schema[keyword].get<double>();
    const bool is_exclusive = keyword == exclusive;
    if (sign * value > sign * bound.value || (value == bound.value && is_exclusive))
      bound = {value, is_exclusive};
  }
  return bound;
}

/// The first value at or inside the bound, in steps of 10^-places.
std::int64_t first_inside(const Bound& bound, double sign, int places, const std::string& path) {
  const double largest = places == 0 ? 9e17 : kLargestNumber;
  if (std::isinf(bound.value))
    return static_cast<std::int64_t>(-sign) *
           (places == 0 ? kLargestInteger : static_cast<std::int64_t>(kLargestNumber * 1e8));
  if (std::fabs(bound.value) > largest) throw InputError("the bound is too large to be enforced", path);
  const double scaled = bound.value * std::pow(10.0, places);
  const double nearest = std::round(scaled);
  const bool whole =
      std::fabs(scaled - nearest) <= std::fabs(scaled) * 1e-15;  // 0.1 · 10⁸ is 10⁷ but for rounding
  const double inside = whole ? nearest : sign > 0 ? std::ceil(scaled) : std::floor(scaled);
  return static_cast<std::int64_t>(inside) + (whole && bound.exclusive ? static_cast<std::int64_t>(sign) : 0);
}

/// `multipleOf` in steps of 10^-places.
std::int64_t step_of(const ordered_json& schema, int places, const std::string& path) {
  if (!schema.contains("multipleOf")) return 1;
  const ordered_json& value = schema["multipleOf"];
  if (!value.is_number() || value.get<double>() <= 0)
    throw InputError("'multipleOf' must be a number above 0", path + "/multipleOf");
  const double scaled = value.get<double>() * std::pow(10.0, places);
  const double step = std::round(scaled);
  const bool whole = step >= 1 && step <= 1e17 && std::fabs(scaled - step) <= scaled * 1e-15;
  if (!whole)
    throw InputError(
        "multiples of this number cannot be enforced", path + "/multipleOf",
        places == 0 ? "give a whole number" : "give a number of at most 8 digits behind the point");
  return static_cast<std::int64_t>(step);
}

}  // namespace

std::optional<Node> number_node(const ordered_json& schema, bool integer, const std::string& path) {
  const Bound low = bound_of(schema, "minimum", "exclusiveMinimum", 1, path);
  const Bound high = bound_of(schema, "maximum", "exclusiveMaximum", -1, path);
  Node node;
  node.kind = NodeKind::kNumber;
  const bool bounded = !std::isinf(low.value) || !std::isinf(high.value) || schema.contains("multipleOf");
  if (!integer && !bounded) return node;
  node.kind = NodeKind::kBoundedNumber;
  node.integer = integer;
  node.minimum = low.value;
  node.maximum = high.value;
  node.exclusive_minimum = low.exclusive;
  node.exclusive_maximum = high.exclusive;
  const int places = integer ? 0 : kPlaces;
  node.range = {first_inside(low, 1, places, path), first_inside(high, -1, places, path), places,
                step_of(schema, places, path)};
  if (!node.range.any()) return std::nullopt;
  return node;
}

}  // namespace stepdown::schema
