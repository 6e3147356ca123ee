#include "engine/schema/free_text.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>

namespace stepdown::schema {
namespace {

using State = GrammarBuilder::State;

/// The longest end of `text` that begins a mark; the mark itself where it is whole.
std::string_view begun_mark(std::string_view text, std::span<const TextMark> marks) {
  for (; !text.empty(); text.remove_prefix(1)) {
    for (const TextMark& mark : marks) {
      if (mark.text.starts_with(text)) return text;
    }
  }
  return text;
}

}  // namespace

void add_free_text(GrammarBuilder& builder, State start, State end, std::span<const TextMark> marks) {
  std::map<std::string, State, std::less<>> states = {{"", start}};  // by how much of a mark was written
  for (const TextMark& mark : marks) {
    for (std::size_t length = 1; length < mark.text.size(); ++length) {
      const std::string begun(mark.text.substr(0, length));
      if (!states.contains(begun)) states.emplace(begun, builder.state());
    }
    states.insert_or_assign(std::string(mark.text), mark.to);
  }
  const auto after = [&](std::string text, unsigned char byte) {
    text += static_cast<char>(byte);
    return states.find(begun_mark(text, marks))->second;
  };
  for (const auto& [begun, from] : states) {
    const bool whole = std::ranges::find(marks, begun, &TextMark::text) != marks.end();
    if (whole) continue;
    if (end != TextGrammar::kNowhere) builder.nfa.empty.emplace_back(from, end);
    builder.add_bytes(from, [&, text = begun](unsigned char byte) { return after(text, byte); });
  }
}

}  // namespace stepdown::schema
