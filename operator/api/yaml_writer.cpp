#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "operator/api/yaml.h"

namespace stepdown::api {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kWidth = 100;

/// Reads back as this very string in block and in flow style, by this project's reader and by YAML 1.1's.
bool is_plain(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view kInside = "0123456789_-./:";
  constexpr std::array<std::string_view, 10> kWords = {"true", "false", "null", "yes", "no",
                                                       "on",   "off",   "y",    "n",   "~"};
  if (text.empty() || kLetters.find(text.front()) == std::string_view::npos || text.back() == ':')
    return false;
  const bool safe = std::ranges::all_of(text, [&](char each) {
    return kLetters.find(each) != std::string_view::npos || kInside.find(each) != std::string_view::npos;
  });
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return safe && std::ranges::find(kWords, lower) == kWords.end();
}

/// "24Gi", "60s": no number to any reader.
bool is_amount(std::string_view text) {
  const auto unit = text.find_first_not_of("0123456789");
  return unit != std::string_view::npos && unit > 0 && text.size() - unit <= 2 &&
         text.find_first_not_of("KMGTishm", unit) == std::string_view::npos;
}

/// JSON's quotes are YAML's double quotes.
std::string scalar(const ordered_json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (is_plain(text) || is_amount(text)) return text;
  }
  return value.dump(-1, ' ', /*ensure_ascii=*/true, ordered_json::error_handler_t::replace);
}

std::string key_of(const std::string& name) {
  return scalar(ordered_json(name));
}

std::string flow(const ordered_json& value) {
  if (!value.is_structured()) return scalar(value);
  std::string out;
  for (const auto& [key, each] : value.items()) {
    out += (out.empty() ? "" : ", ") + (value.is_object() ? key_of(key) + ": " : "") + flow(each);
  }
  return value.is_object() ? "{" + out + "}" : "[" + out + "]";
}

/// A list stands at its key's own column, as kubectl prints it; spec always stands below its key.
void block(const ordered_json& value, std::size_t indent, std::string& out) {
  for (const auto& [key, each] : value.items()) {
    const std::string lead =
        std::string(indent, ' ') + (value.is_object() ? key_of(key) + ":" : std::string("-"));
    const std::string line = lead + " " + flow(each);
    const bool nested = each.is_structured() && !each.empty();
    if (!nested || (line.size() <= kWidth && !(indent == 0 && key == "spec"))) {
      out += line + "\n";
    } else if (value.is_array()) {
      std::string below;
      block(each, indent + 2, below);
      out += lead + below.substr(indent + 1);  // the first line goes on behind the dash
    } else {
      out += lead + "\n";
      block(each, each.is_array() ? indent : indent + 2, out);
    }
  }
}

}  // namespace

std::string to_yaml(const ordered_json& document) {
  if (!document.is_structured() || document.empty()) return flow(document) + "\n";
  std::string out;
  block(document, 0, out);
  return out;
}

}  // namespace stepdown::api
