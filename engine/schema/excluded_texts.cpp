#include "engine/schema/excluded_texts.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace stepdown::schema {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}-/").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string regex_without(std::span<const std::string> texts) {
  constexpr std::size_t kMostBytes = 2000;  // each text's beginnings are written out
  std::size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  if (bytes > kMostBytes)
    throw InputError("the texts are too long together", "", "give fewer or shorter ones");
  std::map<std::string, std::set<std::string>> next;  // beginnings, and the characters that they go on with
  for (const std::string& text : texts) {
    for (std::size_t at = 0; at <= text.size();) {
      auto& follow = next[text.substr(0, at)];
      if (at == text.size()) break;
      const std::size_t length =
          std::max<std::size_t>(1, decode_utf8(std::string_view(text).substr(at)).length);
      follow.insert(text.substr(at, length));
      at += length;
    }
  }
  std::string regex = "^(?:";
  for (const auto& [begun, follow] : next) {  // it ends, or leaves what is excluded with its next character
    if (std::ranges::find(texts, begun) == texts.end()) regex += escaped(begun) + "|";
    regex += escaped(begun) + "[^";
    for (const std::string& character : follow) regex += escaped(character);
    regex += "][^]*|";
  }
  regex.back() = ')';
  return regex + "$";
}

}  // namespace stepdown::schema
