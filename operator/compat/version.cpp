#include "operator/compat/version.h"

#include <charconv>
#include <cstdint>
#include <utility>

namespace stepdown::compat {
namespace {

/// Takes the next number off `text`; 0 when there is none left. Longer ones than any version has saturate.
std::uint64_t next_number(std::string_view& text) {
  const auto start = text.find_first_of("0123456789");
  if (start == std::string_view::npos) {
    text = {};
    return 0;
  }
  text.remove_prefix(start);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error == std::errc{} ? number : UINT64_MAX;
}

bool holds(std::string_view version, std::string_view comparison) {
  constexpr std::pair<std::string_view, bool (*)(int)> kOperators[] = {
      {">=", [](int order) { return order >= 0; }}, {"<=", [](int order) { return order <= 0; }},
      {">", [](int order) { return order > 0; }},   {"<", [](int order) { return order < 0; }},
      {"=", [](int order) { return order == 0; }},
  };
  for (const auto& [name, accepts] : kOperators) {
    if (comparison.starts_with(name)) {
      return accepts(compare_versions(version, comparison.substr(name.size())));
    }
  }
  return false;
}

}  // namespace

int compare_versions(std::string_view left, std::string_view right) {
  while (!left.empty() || !right.empty()) {
    const std::uint64_t a = next_number(left), b = next_number(right);
    if (a != b) return a < b ? -1 : 1;
  }
  return 0;
}

bool version_within(std::string_view version, std::string_view range) {
  while (true) {
    const auto start = range.find_first_not_of(' ');
    if (start == std::string_view::npos) return true;
    const auto end = range.find(' ', start);
    if (!holds(version, range.substr(start, end == std::string_view::npos ? end : end - start))) return false;
    range.remove_prefix(end == std::string_view::npos ? range.size() : end);
  }
}

}  // namespace stepdown::compat
