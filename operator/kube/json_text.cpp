#include "operator/kube/json_text.h"

#include <cstring>

namespace stepdown::kube {
namespace {

constexpr auto kNone = std::string_view::npos;
constexpr std::string_view kBlank = " \t\r\n";

std::size_t skip_blank(std::string_view text, std::size_t at) {
  return text.find_first_not_of(kBlank, at);
}

/// `at`: the opening quote.
std::size_t string_end(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return kNone;
}

}  // namespace

std::size_t value_end(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  while (at < text.size()) {
    switch (text[at]) {
      case '"':
        at = string_end(text, at);
        if (at == kNone || depth == 0) return at;
        continue;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        if (depth == 0) return at;  // of a number before it
        if (--depth == 0) return at + 1;
        break;
      case ',':
      case ' ':
      case '\t':
      case '\r':
      case '\n':
        if (depth == 0) return at;
        break;
      default:
        break;
    }
    ++at;
  }
  return depth == 0 ? text.size() : kNone;
}

std::string without_managed_fields(std::string_view text) {
  // Within a string the quotes would be escaped.
  constexpr std::string_view kKey = "\"managedFields\":";
  std::string out;
  std::size_t from = 0;
  for (;;) {
    const void* found = ::memmem(text.data() + from, text.size() - from, kKey.data(), kKey.size());
    if (found == nullptr) break;
    const auto key = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    const std::size_t value = key + kKey.size();
    const std::size_t end = value < text.size() && text[value] == '[' ? value_end(text, value) : value;
    if (end == kNone) break;
    if (out.empty()) out.reserve(text.size());
    out.append(text, from, value - from);
    if (end > value) out += "[]";
    from = end;
  }
  out.append(text, from);
  return out;
}

ListText split_list(std::string_view text) {
  std::size_t at = skip_blank(text, 0);
  if (at == kNone || text[at] != '{') return {};
  for (;;) {
    at = skip_blank(text, at + 1);  // past '{' or ','
    if (at == kNone || text[at] != '"') break;
    const std::size_t key_end = string_end(text, at);
    if (key_end == kNone) return {};
    const bool is_items = text.substr(at, key_end - at) == "\"items\"";
    at = skip_blank(text, key_end);
    if (at == kNone || text[at] != ':') return {};
    at = skip_blank(text, at + 1);
    if (at == kNone) return {};
    const std::size_t end = value_end(text, at);
    if (end == kNone) return {};
    if (is_items && text[at] == '[') {
      return {std::string(text.substr(0, at)) + "[]" + std::string(text.substr(end)),
              text.substr(at, end - at)};
    }
    at = skip_blank(text, end);
    if (at == kNone || text[at] != ',') break;
  }
  return {std::string(text), {}};
}

bool for_each_element(std::string_view array, const std::function<void(std::string_view)>& element) {
  if (array.empty()) return true;
  std::size_t at = skip_blank(array, 1);
  if (at != kNone && array[at] == ']') return true;
  while (at != kNone) {
    const std::size_t end = value_end(array, at);
    if (end == kNone || end == at) return false;
    element(array.substr(at, end - at));
    at = skip_blank(array, end);
    if (at == kNone || array[at] == ']') return at != kNone;
    if (array[at] != ',') return false;
    at = skip_blank(array, at + 1);
  }
  return false;
}

}  // namespace stepdown::kube
