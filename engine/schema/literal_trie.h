#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace stepdown::schema {

/// A byte trie over numbered texts. Node 0 is the root.
class LiteralTrie {
 public:
  static constexpr std::int32_t kNone = -1;

  LiteralTrie() : nodes_(1) {}
  /// Texts are numbered in the order in which they are added.
  void add(std::string_view text);

  std::int32_t next(std::int32_t node, unsigned char byte) const;
  /// The text that ends here, or kNone.
  std::int32_t text_at(std::int32_t node) const { return nodes_[static_cast<std::size_t>(node)].text; }
  bool has_more(std::int32_t node) const { return !nodes_[static_cast<std::size_t>(node)].children.empty(); }
  /// Whether some text numbered first…last lies at or below the node.
  bool reaches(std::int32_t node, std::int32_t first, std::int32_t last) const;

 private:
  struct Node {
    std::map<unsigned char, std::int32_t> children;
    std::int32_t text = kNone;
    std::vector<std::int32_t> below;  // ascending
  };
  std::vector<Node> nodes_;
  std::int32_t count_ = 0;
};

}  // namespace stepdown::schema
