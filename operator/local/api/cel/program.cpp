#include "operator/local/api/cel/program.h"

#include <optional>
#include <vector>

#include "operator/local/api/cel/ast.h"
#include "operator/local/api/cel/functions.h"
#include "operator/local/api/cel/parser.h"

namespace stepdown::local::api::cel {
namespace {

constexpr std::int64_t kBudget = 2'000'000;  // steps and copied values of one evaluation

/// Property names that are no CEL identifiers are escaped in expressions, as Kubernetes documents it.
std::string unescape(const std::string& name) {
  if (name.find("__") == std::string::npos) return name;
  std::string out = name;
  for (const auto& [mark, plain] : {std::pair("__dot__", "."), {"__dash__", "-"}, {"__slash__", "/"}}) {
    for (std::size_t at = out.find(mark); at != std::string::npos; at = out.find(mark)) {
      out.replace(at, std::string_view(mark).size(), plain);
    }
  }
  if (out.size() > 4 && out.starts_with("__") && out.ends_with("__")) out = out.substr(2, out.size() - 4);
  return out;
}

/// Checks names and functions, and unescapes fields.
void resolve(Node& node, std::vector<std::string>& variables, bool& uses_old_self) {
  switch (node.kind) {
    case NodeKind::kIdentifier: {
      if (node.text == "oldSelf") uses_old_self = true;
      if (node.text == "self" || node.text == "oldSelf") return;
      for (const std::string& variable : variables) {
        if (variable == node.text) return;
      }
      throw SyntaxError("undeclared reference to '" + node.text + "' (in container '')");
    }
    case NodeKind::kSelect:
    case NodeKind::kHas:
      node.text = unescape(node.text);
      break;
    case NodeKind::kCall:
      if (find_function(node.text, node.method, node.children.size()) == nullptr) {
        throw SyntaxError("undeclared reference to '" + node.text +
                          "' (in container ''): not a function of this server");
      }
      break;
    case NodeKind::kMacro: {
      resolve(node.children[0], variables, uses_old_self);
      variables.push_back(node.variable);
      for (std::size_t i = 1; i < node.children.size(); ++i)
        resolve(node.children[i], variables, uses_old_self);
      variables.pop_back();
      return;
    }
    default:
      break;
  }
  for (Node& child : node.children) resolve(child, variables, uses_old_self);
}

class Evaluation {
 public:
  Evaluation(const Json& self, const Json* old_self) : self_(self), old_self_(old_self) {}

  Json value(const Node& node) {
    if (const Json* there = in_place(node)) {
      spend(static_cast<std::int64_t>(there->size()));
      return *there;
    }
    switch (node.kind) {
      case NodeKind::kSelect:
        return member(value(node.children[0]), node.text);
      case NodeKind::kHas:
        return has(node);
      case NodeKind::kIndex:
        return index(value(node.children[0]), value(node.children[1]));
      case NodeKind::kCall:
        return call(node);
      case NodeKind::kUnary:
        return unary(node);
      case NodeKind::kBinary:
        return binary(node);
      case NodeKind::kConditional:
        return value(node.children[truth(value(node.children[0])) ? 1 : 2]);
      case NodeKind::kList:
        return list(node);
      case NodeKind::kMap:
        return map(node);
      case NodeKind::kMacro:
        return macro(node);
      default:
        throw EvaluationError("no such overload");
    }
  }

 private:
  void spend(std::int64_t steps) {
    spent_ += 1 + steps;
    if (spent_ > kBudget) throw EvaluationError("validation failed due to running out of cost budget");
  }

  /// The node's value where it already lies, so that paths into the object copy nothing; null when it is
  /// computed.
  const Json* in_place(const Node& node) {
    spend(0);
    switch (node.kind) {
      case NodeKind::kLiteral:
        return &node.literal;
      case NodeKind::kIdentifier:
        for (auto it = variables_.rbegin(); it != variables_.rend(); ++it) {
          if (it->first == node.text) return it->second;
        }
        if (node.text == "self") return &self_;
        if (old_self_ == nullptr) throw EvaluationError("no such attribute: oldSelf");
        return old_self_;
      case NodeKind::kSelect: {
        const Json* object = in_place(node.children[0]);
        return object == nullptr ? nullptr : &member(*object, node.text);
      }
      case NodeKind::kIndex: {
        const Json* object = in_place(node.children[0]);
        if (object == nullptr) return nullptr;
        const Json key = value(node.children[1]);
        return &index(*object, key);
      }
      default:
        return nullptr;
    }
  }

  static const Json& member(const Json& object, const std::string& name) {
    if (!object.is_object()) throw EvaluationError("no such overload");
    const auto it = object.find(name);
    if (it == object.end()) throw EvaluationError("no such key: " + name);
    return *it;
  }

  static const Json& index(const Json& object, const Json& key) {
    if (object.is_object() && key.is_string()) return member(object, key.get_ref<const std::string&>());
    if (!object.is_array() || !key.is_number_integer()) throw EvaluationError("no such overload");
    const std::int64_t at = key.get<std::int64_t>();
    if (at < 0 || at >= static_cast<std::int64_t>(object.size())) {
      throw EvaluationError("index out of bounds: " + std::to_string(at));
    }
    return object[static_cast<std::size_t>(at)];
  }

  static bool truth(const Json& condition) {
    if (!condition.is_boolean()) throw EvaluationError("no such overload");
    return condition.get<bool>();
  }

  Json has(const Node& node) {
    const Json* object = in_place(node.children[0]);
    const Json computed = object == nullptr ? value(node.children[0]) : Json();
    const Json& holder = object == nullptr ? computed : *object;
    if (!holder.is_object()) throw EvaluationError("no such overload");
    return holder.contains(node.text);
  }

  Json call(const Node& node) {
    std::vector<Json> arguments;
    for (const Node& child : node.children) arguments.push_back(value(child));
    const Function* function = find_function(node.text, node.method, arguments.size());
    if (!arguments.empty() && arguments[0].is_string()) {
      spend(static_cast<std::int64_t>(arguments[0].get_ref<const std::string&>().size() / 10));
    }
    return function->call(arguments);
  }

  Json unary(const Node& node) {
    Json operand = value(node.children[0]);
    if (node.text == "!") return !truth(operand);
    if (operand.is_number_float()) return -operand.get<double>();
    return arithmetic("-", std::int64_t{0}, operand);
  }

  /// An operand of && and ||: nullopt stands for an error, which the other operand may still outweigh.
  std::optional<bool> settled(const Node& node, std::string& why) {
    try {
      return truth(value(node));
    } catch (const EvaluationError& error) {
      if (spent_ > kBudget) throw;
      why = error.what();
      return std::nullopt;
    }
  }

  Json logic(const Node& node, bool deciding) {
    std::string why;
    const auto left = settled(node.children[0], why);
    if (left == deciding) return deciding;
    const auto right = settled(node.children[1], why);
    if (right == deciding) return deciding;
    if (!left || !right) throw EvaluationError(why);
    return !deciding;
  }

  Json binary(const Node& node) {
    const std::string& op = node.text;
    if (op == "&&") return logic(node, false);
    if (op == "||") return logic(node, true);
    const Json left = value(node.children[0]);
    const Json right = value(node.children[1]);
    if (op == "==") return equal(left, right);
    if (op == "!=") return !equal(left, right);
    if (op == "in") return contains(right, left);
    if (op == "<") return compare(left, right) < 0;
    if (op == "<=") return compare(left, right) <= 0;
    if (op == ">") return compare(left, right) > 0;
    if (op == ">=") return compare(left, right) >= 0;
    return arithmetic(op, left, right);
  }

  Json list(const Node& node) {
    Json out = Json::array();
    for (const Node& child : node.children) out.push_back(value(child));
    return out;
  }

  Json map(const Node& node) {
    Json out = Json::object();
    for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
      const Json key = value(node.children[i]);
      if (!key.is_string()) throw EvaluationError("unsupported key type");
      out[key.get<std::string>()] = value(node.children[i + 1]);
    }
    return out;
  }

  Json macro(const Node& node) {
    const Json* there = in_place(node.children[0]);
    const Json computed = there == nullptr ? value(node.children[0]) : Json();
    const Json& range = there == nullptr ? computed : *there;
    if (!range.is_array() && !range.is_object()) throw EvaluationError("no such overload");
    // Maps are walked by key.
    Json keys = Json::array();
    if (range.is_object()) {
      for (const auto& [key, ignored] : range.items()) keys.push_back(key);
    }
    const Json& items = range.is_object() ? keys : range;

    Json out = Json::array();
    std::size_t hits = 0;
    std::string why;
    bool failed = false;
    for (const Json& item : items) {
      spend(1);
      variables_.emplace_back(node.variable, &item);
      struct Pop {
        std::vector<std::pair<std::string, const Json*>>& stack;
        ~Pop() { stack.pop_back(); }
      } pop{variables_};
      if (node.text == "map") {
        const bool filtered = node.children.size() == 3;
        if (!filtered || truth(value(node.children[1]))) out.push_back(value(node.children.back()));
        continue;
      }
      if (node.text == "filter") {
        if (truth(value(node.children[1]))) out.push_back(item);
        continue;
      }
      if (node.text == "exists_one") {
        hits += truth(value(node.children[1])) ? 1 : 0;
        continue;
      }
      const bool deciding = node.text == "exists";
      const auto verdict = settled(node.children[1], why);
      if (verdict == deciding) return deciding;
      failed |= !verdict.has_value();
    }
    if (node.text == "map" || node.text == "filter") return out;
    if (node.text == "exists_one") return hits == 1;
    if (failed) throw EvaluationError(why);
    return node.text == "all";
  }

  const Json& self_;
  const Json* old_self_;
  std::vector<std::pair<std::string, const Json*>> variables_;
  std::int64_t spent_ = 0;
};

}  // namespace

Program Program::compile(std::string_view text) {
  Program program;
  auto root = std::make_shared<Node>(parse(text));
  std::vector<std::string> variables;
  resolve(*root, variables, program.uses_old_self_);
  program.root_ = std::move(root);
  return program;
}

Json Program::evaluate(const Json& self, const Json* old_self) const {
  return Evaluation(self, old_self).value(*root_);
}

}  // namespace stepdown::local::api::cel
