#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "engine/base/hash.h"

/// How arguments are read that CLI11's own validators would tell of in its terms rather than the user's.
namespace stepdown {

/// An enumeration by its names, in any case.
template <class Enum>
CLI::Validator one_of(std::map<std::string, Enum> names) {
  const auto read = [names = std::move(names)](std::string& given) -> std::string {
    const auto found = names.find(CLI::detail::to_lower(given));
    if (found != names.end()) {
      given = std::to_string(static_cast<int>(found->second));
      return "";
    }
    std::string all;
    for (const auto& [name, value] : names) all += (all.empty() ? "" : ", ") + name;
    return "'" + given + "' is none of " + all;
  };
  return {read, ""};
}

/// Bytes: "1500", "24GiB", "4.5G"; K, M, G and T count by 1024, with or without i and B.
inline CLI::Validator bytes() {
  const auto read = [](std::string& given) -> std::string {
    double count = 0;
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), count);
    std::string unit = CLI::detail::to_lower(given.substr(static_cast<std::size_t>(end - given.data())));
    if (unit.ends_with('b')) unit.pop_back();
    if (unit.size() == 2 && unit.ends_with('i')) unit.pop_back();
    const std::size_t power = unit.empty() ? 0 : std::string_view("kmgt").find(unit) + 1;
    const double wanted = std::ldexp(count, static_cast<int>(10 * power));
    if (error != std::errc() || unit.size() > 1 || (power == 0) != unit.empty() ||
        !(wanted >= 1 && wanted < 0x1p63))
      return "'" + given + "' is no size; give one such as 24GiB";
    given = std::to_string(static_cast<std::uint64_t>(wanted));
    return "";
  };
  return {read, ""};
}

inline CLI::Validator sha256_digest() {
  const auto read = [](const std::string& given) -> std::string {
    return is_sha256_digest(given) ? "" : "give sha256:<64 hex digits>";
  };
  return {read, ""};
}

/// A number that is at least `least`, or above it.
inline CLI::Validator number_from(int least, bool above) {
  const auto read = [least, above](std::string& given) -> std::string {
    double number = 0;
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), number);
    const bool whole = error == std::errc() && end == given.data() + given.size();
    if (whole && std::isfinite(number) && (number > least || (number == least && !above))) return "";
    return "'" + given + "' is no number " + (above ? "above " : "from ") + std::to_string(least) +
           (above ? "" : " up");
  };
  return {read, ""};
}
inline CLI::Validator positive() {
  return number_from(0, true);
}
inline CLI::Validator not_negative() {
  return number_from(0, false);
}

}  // namespace stepdown
