#include "operator/kube/time.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "operator/kube/object.h"

namespace stepdown::kube {
namespace {

using namespace std::chrono;

std::string format_seconds(system_clock::time_point time, std::string_view tail) {
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<seconds>(time - day));
  std::array<char, 64> text{};
  const int length =
      std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                    static_cast<int>(clock.seconds().count()));
  return std::string(text.data(), static_cast<std::size_t>(length)).append(tail);
}

/// Takes `digits` digits and then `separator` (when not 0) off the front; -1 when they do not stand there.
int take(std::string_view& text, std::size_t digits, char separator) {
  int value = 0;
  if (text.size() < digits) return -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc{} || end != text.data() + digits || text.front() == '-') return -1;
  text.remove_prefix(digits);
  if (separator == 0) return value;
  if (text.empty() || text.front() != separator) return -1;
  text.remove_prefix(1);
  return value;
}

std::optional<microseconds> take_fraction(std::string_view& text) {
  if (text.empty() || text.front() != '.') return microseconds(0);
  text.remove_prefix(1);
  std::int64_t micros = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (digits < 6) micros = micros * 10 + (text[digits] - '0');
    ++digits;
  }
  if (digits == 0) return std::nullopt;
  for (std::size_t i = digits; i < 6; ++i) micros *= 10;
  text.remove_prefix(digits);
  return microseconds(micros);
}

std::optional<minutes> take_zone(std::string_view text) {
  if (text == "Z" || text == "z") return minutes(0);
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const int sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  const int hour = take(text, 2, ':');
  const int minute = take(text, 2, 0);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return std::nullopt;
  return minutes(sign * (hour * 60 + minute));
}

}  // namespace

std::string format_time(system_clock::time_point time) {
  return format_seconds(time, "Z");
}

std::string format_micro_time(system_clock::time_point time) {
  const auto micros = duration_cast<microseconds>(time - floor<seconds>(time)).count();
  std::array<char, 16> tail{};
  std::snprintf(tail.data(), tail.size(), ".%06dZ", static_cast<int>(micros));
  return format_seconds(time, tail.data());
}

std::optional<system_clock::time_point> parse_time(std::string_view text) {
  const int year_number = take(text, 4, '-');
  const int month_number = take(text, 2, '-');
  const int day_number = take(text, 2, 'T');
  const int hour = take(text, 2, ':');
  const int minute = take(text, 2, ':');
  const int second = take(text, 2, 0);
  if (year_number < 0 || month_number < 0 || day_number < 0 || hour < 0 || minute < 0 || second < 0) {
    return std::nullopt;
  }
  const year_month_day date(year(year_number), month(static_cast<unsigned>(month_number)),
                            day(static_cast<unsigned>(day_number)));
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const auto fraction = take_fraction(text);
  const auto zone = take_zone(text);
  if (!fraction || !zone) return std::nullopt;
  return sys_days(date) + hours(hour) + minutes(minute) + seconds(second) + *fraction - *zone;
}

seconds seconds_at(const nlohmann::json& object, std::string_view pointer, std::int64_t otherwise) {
  constexpr std::int64_t kCentury = 100LL * 366 * 24 * 3600;
  return seconds(std::clamp(integer_at(object, pointer, otherwise), -kCentury, kCentury));
}

}  // namespace stepdown::kube
