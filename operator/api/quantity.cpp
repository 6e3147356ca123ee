#include <charconv>
#include <cmath>

#include "operator/api/values.h"

namespace stepdown::api {
namespace {

struct Suffix {
  std::string_view name;
  double factor;
};
constexpr Suffix kSuffixes[] = {{"", 1},
                                {"m", 1e-3},
                                {"k", 1e3},
                                {"M", 1e6},
                                {"G", 1e9},
                                {"T", 1e12},
                                {"P", 1e15},
                                {"Ki", 1024.0},
                                {"Mi", 1048576.},
                                {"Gi", 1073741824},
                                {"Ti", 1099511627776},
                                {"Pi", 1125899906842624}};
constexpr double kLargest = 9e18;

}  // namespace

std::optional<double> parse_amount(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{}) return std::nullopt;
  for (const Suffix& suffix : kSuffixes) {
    if (std::string_view(rest, static_cast<std::size_t>(end - rest)) != suffix.name) continue;
    return value * suffix.factor;
  }
  return std::nullopt;
}

std::optional<std::int64_t> parse_quantity(const std::string& text) {
  const auto amount = parse_amount(text);
  if (!amount || !(std::abs(std::ceil(*amount)) <= kLargest)) return std::nullopt;
  return static_cast<std::int64_t>(std::ceil(*amount));
}

}  // namespace stepdown::api
