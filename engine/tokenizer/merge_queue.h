#pragma once

#include <algorithm>
#include <cstdint>
#include <queue>
#include <vector>

namespace stepdown::tokenizer {

/// Repeated merging of the best adjacent pair, the leftmost first among equals, in O(n log n): symbols form a
/// linked list, a heap holds candidate pairs, and candidates whose symbols changed since are dropped when
/// they surface. `Candidate pair(int left, int right)` returns {rank, merged} by symbols' values; rank is
/// less for better pairs and merged is negative when the pair cannot merge.
struct MergeCandidate {
  double rank = 0;
  std::int32_t merged = -1;
};

template <typename Pair>
void merge_best_first(std::vector<std::int32_t>& symbols, Pair pair) {
  struct Node {
    std::int32_t symbol, previous, next;
  };
  struct Entry {
    double rank;
    std::int32_t left, right, left_symbol, right_symbol, merged;
    bool operator<(const Entry& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  const auto count = static_cast<std::int32_t>(symbols.size());
  std::vector<Node> nodes(symbols.size());
  std::priority_queue<Entry> queue;
  const auto consider = [&](std::int32_t left, std::int32_t right) {
    if (left < 0 || right >= count) return;
    const MergeCandidate found = pair(nodes[left].symbol, nodes[right].symbol);
    if (found.merged >= 0)
      queue.push({found.rank, left, right, nodes[left].symbol, nodes[right].symbol, found.merged});
  };
  for (std::int32_t i = 0; i < count; ++i) nodes[i] = {symbols[i], i - 1, i + 1};
  for (std::int32_t i = 0; i + 1 < count; ++i) consider(i, i + 1);
  constexpr std::int32_t kGone = -1;
  while (!queue.empty()) {
    const Entry best = queue.top();
    queue.pop();
    if (nodes[best.left].symbol != best.left_symbol || nodes[best.right].symbol != best.right_symbol)
      continue;
    if (nodes[best.left].next != best.right) continue;
    nodes[best.left].symbol = best.merged;
    nodes[best.left].next = nodes[best.right].next;
    if (nodes[best.right].next < count) nodes[nodes[best.right].next].previous = best.left;
    nodes[best.right].symbol = kGone;
    consider(nodes[best.left].previous, best.left);
    consider(best.left, nodes[best.left].next);
  }
  symbols.clear();
  for (std::int32_t i = 0; i < count; i = nodes[i].next) symbols.push_back(nodes[i].symbol);
}

}  // namespace stepdown::tokenizer
