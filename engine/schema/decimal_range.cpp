#include "engine/schema/decimal_range.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace stepdown::schema {
namespace {

constexpr std::int64_t kMost = 999'999'999'999'999'999;  // 18 digits: sums and products below stay in range

std::int64_t power_of_ten(int exponent) {
  std::int64_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

}  // namespace

bool DecimalRange::any() const {
  if (low > high) return false;
  if (low <= 0 && high >= 0) return true;  // 0 is a multiple of all
  const std::int64_t least = std::min(std::abs(low), std::abs(high));
  const std::int64_t most = std::max(std::abs(low), std::abs(high));
  return most / step * step >= least;
}

bool DecimalRange::has_multiple(double value) const {
  if (step == 1 && places > 0) return true;
  const double scaled = value * std::pow(10.0, places);
  const double whole = std::round(scaled);
  return std::fabs(scaled - whole) <= std::fabs(scaled) * 1e-15 &&
         std::fmod(whole, static_cast<double>(step)) == 0.0;
}

bool DecimalRange::has_multiple(std::int64_t value) const {
  const std::int64_t scale = power_of_ten(places) % step;  // value × 10^places is beyond 64 bits
  return static_cast<__int128>(value % step) * scale % step == 0;
}

bool DecimalRange::complete(const Prefix& prefix) const {
  if (!prefix.any || prefix.fraction == 0) return false;
  const std::int64_t scale = power_of_ten(places - std::max<int>(prefix.fraction, 0));
  if (prefix.digits > kMost / scale) return false;
  const std::int64_t value = (prefix.negative ? -1 : 1) * prefix.digits * scale;
  return value >= low && value <= high && value % step == 0;
}

/// Magnitudes that the prefix can grow to form, for each count of further integer digits, one interval.
bool DecimalRange::viable(const Prefix& prefix) const {
  const std::int64_t least =
      prefix.negative ? std::max<std::int64_t>(-high, 0) : std::max<std::int64_t>(low, 0);
  const std::int64_t most = prefix.negative ? -low : high;
  if (least > most) return false;
  const int behind = std::max<int>(prefix.fraction, 0);
  std::int64_t unit = power_of_ten(places - behind);  // what one step of the last digit is worth
  if (prefix.digits > kMost / unit) return false;
  std::int64_t from = prefix.digits * unit;
  for (;;) {
    const std::int64_t last = std::min(from + (unit - 1), most);
    if (last >= std::max(from, least) && last / step * step >= std::max(from, least)) return true;
    const bool may_grow =
        prefix.fraction < 0 && prefix.digits > 0;  // no further digit follows a leading zero
    if (!may_grow || from > most || from > kMost / 10) return false;
    from *= 10;
    unit *= 10;
  }
}

bool DecimalRange::accept(Prefix& prefix, unsigned char byte) const {
  if (byte == '-') {
    if (prefix.any || prefix.negative || low >= 0) return false;
    prefix.negative = true;
    return places > 0 || low < 0;
  }
  if (byte == '.') {
    if (places == 0 || !prefix.any || prefix.fraction >= 0) return false;
    prefix.fraction = 0;
    return viable(prefix);
  }
  if (byte < '0' || byte > '9') return false;
  const bool leading_zero = prefix.any && prefix.digits == 0 && prefix.fraction < 0;
  if (leading_zero || prefix.fraction == places || prefix.digits > kMost / 10) return false;
  if (prefix.negative && places == 0 && !prefix.any && byte == '0') return false;  // -0
  prefix.any = true;
  prefix.digits = prefix.digits * 10 + (byte - '0');
  if (prefix.fraction >= 0) ++prefix.fraction;
  return viable(prefix);
}

}  // namespace stepdown::schema
