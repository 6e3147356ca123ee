#include "engine/runtime/prompt_lookup.h"

#include <algorithm>

namespace stepdown::runtime {

using tokenizer::TokenId;

std::vector<TokenId> prompt_lookup(std::span<const TokenId> tokens, std::size_t most) {
  for (const std::size_t length : {std::size_t{3}, std::size_t{2}}) {
    if (tokens.size() <= length) continue;
    const auto ending = tokens.last(length);
    const auto before = tokens.first(tokens.size() - 1);
    const auto found = std::ranges::find_end(before, ending);
    if (found.empty()) continue;
    const auto rest = tokens.subspan(static_cast<std::size_t>(found.end() - before.begin()));
    return {rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(std::min(most, rest.size()))};
  }
  return {};
}

}  // namespace stepdown::runtime
