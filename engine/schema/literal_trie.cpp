#include "engine/schema/literal_trie.h"

#include <algorithm>

namespace stepdown::schema {

void LiteralTrie::add(std::string_view text) {
  const std::int32_t number = count_++;
  std::int32_t node = 0;
  nodes_[0].below.push_back(number);
  for (const char c : text) {
    const auto fresh = static_cast<std::int32_t>(nodes_.size());
    const auto [child, added] =
        nodes_[static_cast<std::size_t>(node)].children.try_emplace(static_cast<unsigned char>(c), fresh);
    node = child->second;
    if (added) nodes_.emplace_back();
    nodes_[static_cast<std::size_t>(node)].below.push_back(number);
  }
  nodes_[static_cast<std::size_t>(node)].text = number;
}

std::int32_t LiteralTrie::next(std::int32_t node, unsigned char byte) const {
  const auto& children = nodes_[static_cast<std::size_t>(node)].children;
  const auto found = children.find(byte);
  return found == children.end() ? kNone : found->second;
}

bool LiteralTrie::reaches(std::int32_t node, std::int32_t first, std::int32_t last) const {
  const auto& below = nodes_[static_cast<std::size_t>(node)].below;
  const auto found = std::ranges::lower_bound(below, first);
  return found != below.end() && *found <= last;
}

}  // namespace stepdown::schema
