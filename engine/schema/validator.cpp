#include "engine/schema/validator.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "engine/schema/json_pointer.h"

namespace stepdown::schema {
namespace {

using nlohmann::json;

std::string child_path(const std::string& path, std::string_view key) {
  return path + "/" + escape_pointer(key);
}

std::int64_t code_points(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u; });
}

class Validator {
 public:
  explicit Validator(const Grammar& grammar, std::size_t* steps = nullptr)
      : grammar_(grammar), steps_(steps) {}

  std::vector<Violation> run(NodeId node, const json& document) {
    check(node, document, "", 0);
    return std::move(violations_);
  }

 private:
  void report(const std::string& path, std::string what) { violations_.push_back({path, std::move(what)}); }

  bool expect(bool holds, const std::string& path, const char* what) {
    if (!holds) report(path, what);
    return holds;
  }

  void check(NodeId id, const json& value, const std::string& path, int depth) {
    const Node& node = grammar_[id];
    if (steps_ != nullptr && *steps_ <= node.values.size())
      throw InputError("the schema's values take too long to be judged by what stands beside them", "#",
                       "leave out the values that it forbids");
    if (steps_ != nullptr) *steps_ -= 1 + node.values.size();
    switch (node.kind) {
      case NodeKind::kObject:
        if (expect(value.is_object(), path, "is no object")) object(node, value, path, depth);
        break;
      case NodeKind::kArray:
        if (expect(value.is_array(), path, "is no list")) array(node, value, path, depth);
        break;
      case NodeKind::kString:
        if (expect(value.is_string(), path, "is no string"))
          string(node, value.get_ref<const std::string&>(), path);
        break;
      case NodeKind::kNumber:
        expect(value.is_number(), path, "is no number");
        break;
      case NodeKind::kBoundedNumber:
        number(node, value, path);
        break;
      case NodeKind::kLiterals:
        expect(std::ranges::find(node.values, value) != node.values.end(), path,
               "is none of the values allowed");
        break;
      case NodeKind::kAnyOf:
        any_of(node, value, path, depth);
        break;
    }
  }

  /// One alternative's own violations say more than "none matches".
  void any_of(const Node& node, const json& value, const std::string& path, int depth) {
    // Without memory, nested alternatives would be tried exponentially often.
    if (failed_.contains({&node, &value})) return report(path, "matches no alternative");
    std::vector<Violation> before = std::exchange(violations_, {});
    std::vector<Violation> only;
    bool matched = false;
    for (const NodeId alternative : node.alternatives) {
      violations_.clear();
      check(alternative, value, path, depth);
      matched = matched || violations_.empty();
      if (matched) break;
      only = std::move(violations_);
    }
    violations_ = std::move(before);
    if (matched) return;
    failed_.insert({&node, &value});
    if (node.alternatives.size() == 1) {
      std::ranges::move(only, std::back_inserter(violations_));
    } else {
      report(path, "matches none of " + std::to_string(node.alternatives.size()) + " alternatives");
    }
  }

  bool fits(NodeId id, const json& value, const std::string& path, int depth) {
    std::vector<Violation> before = std::exchange(violations_, {});
    check(id, value, path, depth);
    return std::exchange(violations_, std::move(before)).empty();
  }

  void object(const Node& node, const json& value, const std::string& path, int depth) {
    if (!expect(depth < kDeepest, path, "is nested too deeply")) return;
    for (const Node::Property& property : node.properties) {
      const auto found = value.find(property.name);
      if (found != value.end()) {
        check(property.value, *found, child_path(path, property.name), depth + 1);
      } else if (property.required) {
        report(child_path(path, property.name), "is missing");
      }
    }
    expect(static_cast<std::int64_t>(value.size()) >= node.least, path, "has too few properties");
    for (const auto& [key, member] : value.items()) {
      if (std::ranges::find(node.properties, key, &Node::Property::name) != node.properties.end()) continue;
      if (node.additional != kNoNode && (!node.names_meant || node.names_meant->matches(key))) {
        check(node.additional, member, child_path(path, key), depth + 1);
      } else {
        report(child_path(path, key), "is not allowed");
      }
    }
  }

  void array(const Node& node, const json& value, const std::string& path, int depth) {
    if (!expect(depth < kDeepest, path, "is nested too deeply")) return;
    const auto size = static_cast<std::int64_t>(value.size());
    expect(size >= node.least, path, "has too few items");
    expect(size <= node.most, path, "has too many items");
    if (!node.choices.empty())
      expect(std::set<json>(value.begin(), value.end()).size() == value.size(), path, "has equal items");
    if (node.contains != kNoNode) {
      const auto contained = std::ranges::count_if(
          value, [&](const json& item) { return fits(node.contains, item, path, depth + 1); });
      expect(contained >= node.least_contained, path, "has too few of the items that it must contain");
      expect(contained <= node.most_contained, path, "has too many of the items that it may contain");
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
      const NodeId rule = i < node.prefix.size() ? node.prefix[i] : node.items;
      if (rule != kNoNode) check(rule, value[i], path + "/" + std::to_string(i), depth + 1);
    }
  }

  void string(const Node& node, const std::string& text, const std::string& path) {
    const std::int64_t length = node.least > 0 || node.most != kUnbounded ? code_points(text) : 0;
    expect(length >= node.least, path, "is too short");
    expect(length <= node.most, path, "is too long");
    expect(!node.meant || node.meant->matches(text), path, "does not match the pattern");
  }

  void number(const Node& node, const json& value, const std::string& path) {
    if (!expect(is_of_type(value, node.integer ? "integer" : "number"), path,
                node.integer ? "is no integer" : "is no number"))
      return;
    const auto number = value.get<double>();
    expect(node.exclusive_minimum ? number > node.minimum : number >= node.minimum, path, "is too small");
    expect(node.exclusive_maximum ? number < node.maximum : number <= node.maximum, path, "is too large");
    const bool exact =
        value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
    expect(exact ? node.range.has_multiple(value.get<std::int64_t>()) : node.range.has_multiple(number), path,
           "is no multiple of what it must be");
  }

  const Grammar& grammar_;
  std::size_t* steps_;
  std::vector<Violation> violations_;
  std::set<std::pair<const Node*, const json*>> failed_;
};

}  // namespace

std::vector<Violation> validate(const Grammar& grammar, const json& document) {
  return Validator(grammar).run(grammar.root, document);
}

bool is_valid(const Grammar& grammar, NodeId node, const json& document) {
  return Validator(grammar).run(node, document).empty();
}

bool is_valid(const Grammar& grammar, NodeId node, const json& document, std::size_t& steps) {
  return Validator(grammar, &steps).run(node, document).empty();
}

}  // namespace stepdown::schema
