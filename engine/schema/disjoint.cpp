#include "engine/schema/disjoint.h"

#include <algorithm>
#include <map>

#include "engine/base/error.h"
#include "engine/schema/validator.h"

namespace stepdown::schema {
namespace {

class Comparison {
 public:
  Comparison(const Grammar& grammar, std::size_t& steps) : grammar_(grammar), steps_(steps) {}

  bool disjoint(NodeId a, NodeId b) { return disjoint(a, b, 0); }

 private:
  /// Remembers what it found: alternatives in alternatives would be compared exponentially often.
  bool disjoint(NodeId a, NodeId b, int depth) {
    constexpr int kDeepestLook = 16;  // references may lead in circles
    if (depth > kDeepestLook) return false;
    const auto pair = std::minmax(a, b);
    if (const auto known = known_.find(pair); known != known_.end()) return known->second;
    const bool apart = compare(a, b, depth);
    if (depth > 0) known_.emplace(pair, apart);
    return apart;
  }

  bool compare(NodeId a, NodeId b, int depth) {
    const Node& left = grammar_[a];
    const Node& right = grammar_[b];
    const std::size_t work =
        std::max<std::size_t>(1, left.values.size()) * std::max<std::size_t>(1, right.values.size());
    if (work > steps_)
      throw InputError("'oneOf' has too many alternatives to be told apart", "#", "write 'anyOf'");
    steps_ -= work;
    if (right.kind == NodeKind::kAnyOf && left.kind != NodeKind::kAnyOf) return compare(b, a, depth);
    if (left.kind == NodeKind::kAnyOf) {
      return std::ranges::all_of(left.alternatives,
                                 [&](NodeId alternative) { return disjoint(alternative, b, depth + 1); });
    }
    if (right.kind == NodeKind::kLiterals && left.kind != NodeKind::kLiterals) return compare(b, a, depth);
    if (left.kind == NodeKind::kLiterals)
      return std::ranges::none_of(left.values,
                                  [&](const auto& value) { return is_valid(grammar_, b, value); });
    if (is_number(left) != is_number(right)) return true;
    if (is_number(left)) return number(left, right);
    if (left.kind != right.kind) return true;
    if (left.kind == NodeKind::kObject) return object(left, right, depth);
    if (left.kind == NodeKind::kArray) return array(left, right, depth);
    return left.least > right.most || right.least > left.most;
  }

  static bool is_number(const Node& node) {
    return node.kind == NodeKind::kNumber || node.kind == NodeKind::kBoundedNumber;
  }

  static bool number(const Node& left, const Node& right) {
    const auto below = [](const Node& low, const Node& high) {
      return low.maximum < high.minimum ||
             (low.maximum == high.minimum && (low.exclusive_maximum || high.exclusive_minimum));
    };
    return below(left, right) || below(right, left);
  }

  /// What the node says of a property of that name; kNoNode: it may not be there.
  static NodeId rule_of(const Node& node, const std::string& name) {
    const auto found = std::ranges::find(node.properties, name, &Node::Property::name);
    return found == node.properties.end() ? node.additional : found->value;
  }

  bool object(const Node& left, const Node& right, int depth) {
    const auto tells = [&](const Node& one, const Node& other) {
      return std::ranges::any_of(one.properties, [&](const Node::Property& property) {
        if (!property.required) return false;
        const NodeId rule = rule_of(other, property.name);
        return rule == kNoNode || disjoint(property.value, rule, depth + 1);
      });
    };
    return tells(left, right) || tells(right, left);
  }

  bool array(const Node& left, const Node& right, int depth) {
    if (left.least > right.most || right.least > left.most) return true;
    const auto first = [](const Node& node) {
      return node.prefix.empty() ? node.items : node.prefix.front();
    };
    const bool both_have_one =
        left.least > 0 && right.least > 0 && first(left) != kNoNode && first(right) != kNoNode;
    return both_have_one && disjoint(first(left), first(right), depth + 1);
  }

  const Grammar& grammar_;
  std::map<std::pair<NodeId, NodeId>, bool> known_;
  std::size_t& steps_;
};

}  // namespace

std::optional<std::pair<std::size_t, std::size_t>> overlapping(const Grammar& grammar,
                                                               std::span<const NodeId> nodes,
                                                               std::size_t& steps) {
  Comparison comparison(grammar, steps);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t j = i + 1; j < nodes.size(); ++j) {
      if (!comparison.disjoint(nodes[i], nodes[j])) return std::pair(i, j);
    }
  }
  return std::nullopt;
}

}  // namespace stepdown::schema
