#include "engine/schema/disjoint.h"

#include <algorithm>

#include "engine/schema/validator.h"

namespace stepdown::schema {
namespace {

class Comparison {
 public:
  explicit Comparison(const Grammar& grammar) : grammar_(grammar) {}

  bool disjoint(NodeId a, NodeId b, int depth) const {
    constexpr int kDeepestLook = 16;  // references may lead in circles
    if (depth > kDeepestLook) return false;
    const Node& left = grammar_[a];
    const Node& right = grammar_[b];
    if (right.kind == NodeKind::kAnyOf && left.kind != NodeKind::kAnyOf) return disjoint(b, a, depth);
    if (left.kind == NodeKind::kAnyOf) {
      return std::ranges::all_of(left.alternatives,
                                 [&](NodeId alternative) { return disjoint(alternative, b, depth + 1); });
    }
    if (right.kind == NodeKind::kLiterals && left.kind != NodeKind::kLiterals) return disjoint(b, a, depth);
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

 private:
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

  bool object(const Node& left, const Node& right, int depth) const {
    const auto tells = [&](const Node& one, const Node& other) {
      return std::ranges::any_of(one.properties, [&](const Node::Property& property) {
        if (!property.required) return false;
        const NodeId rule = rule_of(other, property.name);
        return rule == kNoNode || disjoint(property.value, rule, depth + 1);
      });
    };
    return tells(left, right) || tells(right, left);
  }

  bool array(const Node& left, const Node& right, int depth) const {
    if (left.least > right.most || right.least > left.most) return true;
    const auto first = [](const Node& node) {
      return node.prefix.empty() ? node.items : node.prefix.front();
    };
    const bool both_have_one =
        left.least > 0 && right.least > 0 && first(left) != kNoNode && first(right) != kNoNode;
    return both_have_one && disjoint(first(left), first(right), depth + 1);
  }

  const Grammar& grammar_;
};

}  // namespace

bool are_disjoint(const Grammar& grammar, NodeId a, NodeId b) {
  return Comparison(grammar).disjoint(a, b, 0);
}

}  // namespace stepdown::schema
