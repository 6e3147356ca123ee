#include "engine/tokenizer/special_tokens.h"

#include <algorithm>

namespace stepdown::tokenizer {

void SpecialTokens::add(std::string_view text, TokenId id, bool control) {
  if (text.empty()) return;
  auto& entries = by_first_byte_[static_cast<unsigned char>(text[0])];
  const auto place =
      std::ranges::find_if(entries, [&](const Entry& entry) { return entry.text.size() < text.size(); });
  entries.insert(place, Entry{text, id, control});
}

SpecialTokens::Match SpecialTokens::find(std::string_view text, std::size_t from, bool control) const {
  for (std::size_t at = from; at < text.size(); ++at) {
    for (const Entry& entry : by_first_byte_[static_cast<unsigned char>(text[at])]) {
      if ((control || !entry.control) && text.substr(at, entry.text.size()) == entry.text) {
        return {at, entry.text.size(), entry.id};
      }
    }
  }
  return {};
}

}  // namespace stepdown::tokenizer
