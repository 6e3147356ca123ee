#include "engine/tokenizer/jinja/text.h"

#include <algorithm>

#include "engine/tokenizer/jinja/builtins.h"

namespace stepdown::tokenizer::jinja {
namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
char to_lower(char c) {
  return is_upper(c) ? static_cast<char>(c + 32) : c;
}
char to_upper(char c) {
  return is_lower(c) ? static_cast<char>(c - 32) : c;
}

}  // namespace

std::string strip(std::string_view text, std::string_view chars, bool left, bool right) {
  if (left) text.remove_prefix(std::min(text.find_first_not_of(chars), text.size()));
  if (right) text = text.substr(0, text.find_last_not_of(chars) + 1);
  return std::string(text);
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), to_lower);
  return text;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), to_upper);
  return text;
}

std::string capitalize(std::string text) {
  text = lower(std::move(text));
  if (!text.empty()) text[0] = to_upper(text[0]);
  return text;
}

std::string title(std::string text) {
  bool inside = false;
  for (char& c : text) {
    c = inside ? to_lower(c) : to_upper(c);
    inside = is_lower(c) || is_upper(c);
  }
  return text;
}

std::string replace_text(std::string_view text, std::string_view from, std::string_view to,
                         std::int64_t count) {
  std::string out;
  if (from.empty()) return std::string(text);
  for (std::size_t at = 0;;) {
    const std::size_t found = count == 0 ? std::string_view::npos : text.find(from, at);
    out += text.substr(at, found == std::string_view::npos ? found : found - at);
    check_size(out.size());
    if (found == std::string_view::npos) return out;
    out += to;
    at = found + from.size();
    if (count > 0) --count;
  }
}

std::vector<std::string> split(std::string_view text, std::string_view separator, std::int64_t limit) {
  std::vector<std::string> parts;
  if (separator.empty()) {
    for (;;) {
      text.remove_prefix(std::min(text.find_first_not_of(kWhitespace), text.size()));
      if (text.empty()) return parts;
      if (limit >= 0 && static_cast<std::int64_t>(parts.size()) >= limit) break;
      const std::size_t end = std::min(text.find_first_of(kWhitespace), text.size());
      parts.emplace_back(text.substr(0, end));
      text.remove_prefix(end);
    }
    parts.push_back(strip(text, kWhitespace, false, true));
    return parts;
  }
  for (;;) {
    const bool full = limit >= 0 && static_cast<std::int64_t>(parts.size()) >= limit;
    const std::size_t found = full ? std::string_view::npos : text.find(separator);
    parts.emplace_back(text.substr(0, found));
    if (found == std::string_view::npos) return parts;
    text.remove_prefix(found + separator.size());
  }
}

std::size_t count_code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u; }));
}

}  // namespace stepdown::tokenizer::jinja
