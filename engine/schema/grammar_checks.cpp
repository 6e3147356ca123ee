#include "engine/schema/grammar_checks.h"

#include <algorithm>
#include <vector>

#include "engine/base/error.h"

namespace stepdown::schema {
namespace {

constexpr int kEndless = 1 << 20;

/// Of an item behind those that must come as they are.
int rest_height(const Grammar& grammar, const Node& node) {
  const NodeId rest = node.contains == kNoNode ? node.items : node.other;
  const int height = rest == kNoNode ? kEndless : grammar[rest].height;
  const bool may_count = node.contains != kNoNode && node.most_contained != kAnyCount;
  return may_count && node.least <= node.most_contained ? std::min(height, grammar[node.counted].height)
                                                        : height;
}

int height_of(const Grammar& grammar, const Node& node) {
  const auto height = [&grammar](NodeId id) { return grammar[id].height; };
  int tallest = 0;
  switch (node.kind) {
    case NodeKind::kObject:
      for (const Node::Property& property : node.properties) {
        if (property.required) tallest = std::max(tallest, height(property.value));
      }
      if (node.least > 0) {  // one of those that need not come
        int shallowest = node.additional == kNoNode ? kEndless : height(node.additional);
        for (const Node::Property& property : node.properties)
          shallowest = std::min(shallowest, height(property.value));
        tallest = std::max(tallest, shallowest);
      }
      return std::min(tallest + 1, kEndless);
    case NodeKind::kArray: {
      const auto fixed = static_cast<std::int64_t>(node.prefix.size());
      for (std::int64_t i = 0; i < std::min(fixed, node.least); ++i)
        tallest = std::max(tallest, height(node.prefix[static_cast<std::size_t>(i)]));
      if (node.contains != kNoNode && node.least_contained > 0) tallest = height(node.counted);
      if (node.least > std::max<std::int64_t>(fixed, node.least_contained))
        tallest = std::max(tallest, rest_height(grammar, node));
      return std::min(tallest + 1, kEndless);
    }
    case NodeKind::kAnyOf:
      tallest = kEndless;
      for (const NodeId alternative : node.alternatives) tallest = std::min(tallest, height(alternative));
      return tallest;
    default:
      return 0;
  }
}

enum class Mark { kNew, kOpen, kDone };

void refuse_circles(const Grammar& grammar, NodeId id, std::vector<Mark>& marks) {
  Mark& mark = marks[static_cast<std::size_t>(id)];
  if (grammar[id].kind != NodeKind::kAnyOf || mark == Mark::kDone) return;
  if (mark == Mark::kOpen)
    throw InputError("a reference leads back to itself without a property or item between", "#");
  mark = Mark::kOpen;
  for (const NodeId alternative : grammar[id].alternatives) refuse_circles(grammar, alternative, marks);
  mark = Mark::kDone;
}

}  // namespace

void check_circles(const Grammar& grammar) {
  std::vector<Mark> marks(grammar.nodes.size(), Mark::kNew);
  for (std::size_t id = 0; id < grammar.nodes.size(); ++id)
    refuse_circles(grammar, static_cast<NodeId>(id), marks);
}

void set_heights(Grammar& grammar) {
  for (Node& node : grammar.nodes) node.height = kEndless;
  for (bool changed = true; changed;) {
    changed = false;
    for (Node& node : grammar.nodes) {
      const int height = height_of(grammar, node);
      changed = changed || height != node.height;
      node.height = height;
    }
  }
  if (grammar[grammar.root].height > kDeepest) {
    throw InputError(
        "no document within " + std::to_string(kDeepest) + " levels of nesting can satisfy the schema", "#");
  }
}

}  // namespace stepdown::schema
