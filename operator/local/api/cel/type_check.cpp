#include "operator/local/api/cel/type_check.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "operator/local/api/cel/ast.h"

namespace stepdown::local::api::cel {
namespace {

using nlohmann::json;

enum class Kind { kDyn, kNull, kBool, kInt, kDouble, kString, kList, kMap, kObject, kOptional };

/// Of a value. Lists, maps and optionals have an `element`; an object has a schema, two are the same where it
/// is.
struct Type {
  Kind kind = Kind::kDyn;
  std::shared_ptr<const Type> element;
  const json* schema = nullptr;

  bool is(Kind other) const { return kind == other; }
  /// It may be used as such: what is only known at run time may be anything.
  bool may_be(Kind other) const { return kind == other || kind == Kind::kDyn; }
};

Type of(Kind kind, Type element) {
  return {kind, std::make_shared<const Type>(std::move(element)), nullptr};
}

Type element_of(const Type& type) {
  return type.element ? *type.element : Type{};
}

bool same(const Type& a, const Type& b) {
  if (a.is(Kind::kDyn) || b.is(Kind::kDyn) || a.is(Kind::kNull) || b.is(Kind::kNull)) return true;
  if (a.kind != b.kind) return false;
  return a.is(Kind::kObject) ? a.schema == b.schema || *a.schema == *b.schema
                             : !a.element || !b.element || same(*a.element, *b.element);
}

std::string name(const Type& type) {
  switch (type.kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kDouble:
      return "double";
    case Kind::kString:
      return "string";
    case Kind::kList:
      return "list(" + name(element_of(type)) + ")";
    case Kind::kMap:
      return "map(string, " + name(element_of(type)) + ")";
    case Kind::kObject:
      return "object";
    case Kind::kOptional:
      return "optional_type(" + name(element_of(type)) + ")";
    case Kind::kDyn:
      break;
  }
  return "dyn";
}

/// Nothing: the API server shows such a value to no rule.
std::optional<Type> type_of(const json& schema) {
  if (schema.value("x-kubernetes-int-or-string", false)) return Type{};
  const std::string type = schema.value("type", "");
  if (type == "boolean") return Type{Kind::kBool};
  if (type == "integer") return Type{Kind::kInt};
  if (type == "number") return Type{Kind::kDouble};
  if (type == "string") {
    const std::string format = schema.value("format", "");
    const bool plain = format != "date" && format != "date-time" && format != "duration" && format != "byte";
    return plain ? Type{Kind::kString} : Type{};  // times and bytes have functions that this server lacks
  }
  if (type == "array") {
    const auto items = schema.find("items");
    const std::optional<Type> element = items == schema.end() ? std::nullopt : type_of(*items);
    if (!element) return std::nullopt;
    return of(Kind::kList, *element);
  }
  if (type != "object") return std::nullopt;
  const auto values = schema.find("additionalProperties");
  if (values != schema.end() && values->is_object()) {
    const std::optional<Type> value = type_of(*values);
    if (!value) return std::nullopt;
    return of(Kind::kMap, *value);
  }
  return Type{Kind::kObject, nullptr, &schema};
}

bool sortable(const Type& type) {
  return type.may_be(Kind::kInt) || type.is(Kind::kDouble) || type.is(Kind::kString) || type.is(Kind::kBool);
}

bool numeric(const Type& type) {
  return type.may_be(Kind::kInt) || type.is(Kind::kDouble);
}

/// What a function takes, its receiver first, and gives. More arguments than are listed are ints or strings
/// that it checks itself.
struct Signature {
  std::string_view name;
  bool (*takes)(const std::vector<Type>& arguments);
  Type (*gives)(const std::vector<Type>& arguments);
};

bool texts(const std::vector<Type>& arguments) {
  return std::ranges::all_of(arguments, [](const Type& type) { return type.may_be(Kind::kString); });
}
bool text_first(const std::vector<Type>& arguments) {
  return arguments[0].may_be(Kind::kString);
}
bool sized(const std::vector<Type>& arguments) {
  const Type& first = arguments[0];
  return first.may_be(Kind::kString) || first.is(Kind::kList) || first.is(Kind::kMap);
}
template <bool (*kFits)(const Type&)>
bool list_of(const std::vector<Type>& arguments) {
  return arguments[0].is(Kind::kDyn) || (arguments[0].is(Kind::kList) && kFits(element_of(arguments[0])));
}
bool joinable(const std::vector<Type>& arguments) {
  return arguments[0].is(Kind::kDyn) ||
         (arguments[0].is(Kind::kList) && element_of(arguments[0]).may_be(Kind::kString));
}
bool anything(const std::vector<Type>& /*arguments*/) {
  return true;
}
bool optional_first(const std::vector<Type>& arguments) {
  return arguments[0].is(Kind::kOptional) &&
         (arguments.size() < 2 || same(element_of(arguments[0]), arguments[1]));
}
template <Kind kKind>
Type a(const std::vector<Type>& /*arguments*/) {
  return Type{kKind};
}
Type list_of_texts(const std::vector<Type>& /*arguments*/) {
  return of(Kind::kList, Type{Kind::kString});
}
Type an_element(const std::vector<Type>& arguments) {
  return element_of(arguments[0]);
}

constexpr auto kSignatures = std::to_array<Signature>({
    {"size", sized, a<Kind::kInt>},          {"startsWith", texts, a<Kind::kBool>},
    {"endsWith", texts, a<Kind::kBool>},     {"contains", texts, a<Kind::kBool>},
    {"matches", texts, a<Kind::kBool>},      {"lowerAscii", texts, a<Kind::kString>},
    {"upperAscii", texts, a<Kind::kString>}, {"trim", texts, a<Kind::kString>},
    {"split", texts, list_of_texts},         {"join", joinable, a<Kind::kString>},
    {"replace", texts, a<Kind::kString>},    {"substring", text_first, a<Kind::kString>},
    {"indexOf", text_first, a<Kind::kInt>},  {"isSorted", list_of<sortable>, a<Kind::kBool>},
    {"sum", list_of<numeric>, an_element},   {"min", list_of<sortable>, an_element},
    {"max", list_of<sortable>, an_element},  {"int", anything, a<Kind::kInt>},
    {"double", anything, a<Kind::kDouble>},  {"string", anything, a<Kind::kString>},
    {"dyn", anything, a<Kind::kDyn>},        {"hasValue", optional_first, a<Kind::kBool>},
    {"value", optional_first, an_element},   {"orValue", optional_first, an_element},
});

class Check {
 public:
  Check(std::string_view text, const json& schema, bool is_root, bool optional_old_self)
      : text_(text),
        self_(type_of(schema).value_or(Type{})),
        root_(is_root ? &schema : nullptr),
        optional_old_self_(optional_old_self) {}

  Type type(const Node& node) {
    switch (node.kind) {
      case NodeKind::kLiteral:
        return literal(node.literal);
      case NodeKind::kIdentifier:
        return identifier(node);
      case NodeKind::kSelect:
        return field(type(node.children[0]), node);
      case NodeKind::kHas:
        field(type(node.children[0]), node);
        return Type{Kind::kBool};
      case NodeKind::kIndex:
        return index(node);
      case NodeKind::kCall:
        return call(node);
      case NodeKind::kUnary:
        return unary(node);
      case NodeKind::kBinary:
        return binary(node);
      case NodeKind::kConditional:
        return conditional(node);
      case NodeKind::kList:
        return list(node);
      case NodeKind::kMap:
        for (const Node& child : node.children) type(child);
        return of(Kind::kMap, Type{});
      case NodeKind::kMacro:
        return macro(node);
    }
    return Type{};
  }

  [[noreturn]] void fail(std::size_t at, const std::string& why) const {
    throw SyntaxError("<input>:1:" + std::to_string(at + 1) + ": " + why + "\n | " + std::string(text_) +
                      "\n | " + std::string(at, '.') + "^");
  }

 private:
  static Type literal(const json& value) {
    if (value.is_null()) return Type{Kind::kNull};
    if (value.is_boolean()) return Type{Kind::kBool};
    if (value.is_number_float()) return Type{Kind::kDouble};
    return Type{value.is_string() ? Kind::kString : Kind::kInt};
  }

  Type identifier(const Node& node) {
    for (auto it = variables_.rbegin(); it != variables_.rend(); ++it) {
      if (it->first == node.text) return it->second;
    }
    return node.text == "oldSelf" && optional_old_self_ ? of(Kind::kOptional, self_) : self_;
  }

  [[noreturn]] void no_overload(const Node& node, const std::string& function,
                                const std::vector<Type>& types) {
    std::string list;
    for (const Type& type : types) list += (list.empty() ? "" : ", ") + name(type);
    fail(node.at, "found no matching overload for '" + function + "' applied to '(" + list + ")'");
  }

  void demand_bool(const Node& node, const Type& type) {
    if (!type.may_be(Kind::kBool)) fail(node.at, "expected type 'bool' but found '" + name(type) + "'");
  }

  Type field(const Type& holder, const Node& node) {
    if (holder.is(Kind::kDyn)) return {};
    if (holder.is(Kind::kMap)) return element_of(holder);
    if (!holder.is(Kind::kObject))
      fail(node.at, "type '" + name(holder) + "' does not support field selection");
    const bool whole =
        holder.schema == root_ || holder.schema->value("x-kubernetes-embedded-resource", false);
    if (whole && (node.text == "apiVersion" || node.text == "kind")) return Type{Kind::kString};
    if (whole && node.text == "metadata") return Type{Kind::kObject, nullptr, &metadata()};
    const auto properties = holder.schema->find("properties");
    if (properties != holder.schema->end() && properties->contains(node.text)) {
      if (const auto found = type_of((*properties)[node.text])) return *found;
    }
    fail(node.at, "undefined field '" + node.text + "'");
  }

  /// The part of an object's metadata that rules may read.
  static const json& metadata() {
    static const json kMetadata = {
        {"type", "object"},
        {"properties", {{"name", {{"type", "string"}}}, {"generateName", {{"type", "string"}}}}}};
    return kMetadata;
  }

  Type index(const Node& node) {
    const Type holder = type(node.children[0]);
    const Type key = type(node.children[1]);
    if (holder.is(Kind::kDyn)) return {};
    if (holder.is(Kind::kList) && key.may_be(Kind::kInt)) return element_of(holder);
    if (holder.is(Kind::kMap) && key.may_be(Kind::kString)) return element_of(holder);
    no_overload(node, "_[_]", {holder, key});
  }

  Type call(const Node& node) {
    std::vector<Type> arguments;
    for (const Node& child : node.children) arguments.push_back(type(child));
    const auto found = std::ranges::find(kSignatures, node.text, &Signature::name);
    if (found == kSignatures.end()) return {};
    if (!found->takes(arguments)) no_overload(node, node.text, arguments);
    return found->gives(arguments);
  }

  Type unary(const Node& node) {
    const Type operand = type(node.children[0]);
    const bool fits = node.text == "!" ? operand.may_be(Kind::kBool) : numeric(operand);
    if (!fits) no_overload(node, node.text + "_", {operand});
    return operand;
  }

  Type binary(const Node& node) {
    const std::string& op = node.text;
    const Type left = type(node.children[0]);
    const Type right = type(node.children[1]);
    if (op == "&&" || op == "||") {
      demand_bool(node.children[0], left);
      demand_bool(node.children[1], right);
      return Type{Kind::kBool};
    }
    const auto refuse = [&] { no_overload(node, op == "in" ? "@in" : "_" + op + "_", {left, right}); };
    if (op == "in") {
      const bool list = right.is(Kind::kList) && same(left, element_of(right));
      if (!right.is(Kind::kDyn) && !list && !(right.is(Kind::kMap) && left.may_be(Kind::kString))) refuse();
      return Type{Kind::kBool};
    }
    if (op == "==" || op == "!=") {
      if (!same(left, right)) refuse();
      return Type{Kind::kBool};
    }
    if (op.starts_with('<') || op.starts_with('>')) {
      const bool numbers = numeric(left) && numeric(right);
      if (!numbers && !(sortable(left) && same(left, right))) refuse();
      return Type{Kind::kBool};
    }
    const bool numbers = numeric(left) && numeric(right) && same(left, right) &&
                         !(op == "%" && (left.is(Kind::kDouble) || right.is(Kind::kDouble)));
    const bool joins = op == "+" && same(left, right) && (left.is(Kind::kString) || left.is(Kind::kList));
    if (!numbers && !joins) refuse();
    return left.is(Kind::kDyn) ? right : left;
  }

  Type conditional(const Node& node) {
    const Type condition = type(node.children[0]);
    const Type yes = type(node.children[1]);
    const Type no = type(node.children[2]);
    if (!condition.may_be(Kind::kBool) || !same(yes, no)) no_overload(node, "_?_:_", {condition, yes, no});
    return yes.is(Kind::kDyn) || yes.is(Kind::kNull) ? no : yes;
  }

  Type list(const Node& node) {
    Type element;
    for (const Node& child : node.children) {
      const Type next = type(child);
      if (!same(element, next))
        fail(child.at, "expected type '" + name(element) + "' but found '" + name(next) + "'");
      if (element.is(Kind::kDyn)) element = next;
    }
    return of(Kind::kList, element);
  }

  Type macro(const Node& node) {
    const Type range = type(node.children[0]);
    if (!range.is(Kind::kDyn) && !range.is(Kind::kList) && !range.is(Kind::kMap)) {
      fail(node.children[0].at, "expression of type '" + name(range) +
                                    "' cannot be range of a comprehension (must be list, map, or dynamic)");
    }
    variables_.emplace_back(node.variable, range.is(Kind::kMap) ? Type{Kind::kString} : element_of(range));
    const bool maps = node.text == "map";
    if (!maps || node.children.size() == 3) demand_bool(node.children[1], type(node.children[1]));
    const Type mapped = maps ? type(node.children.back()) : Type{};
    variables_.pop_back();
    if (maps) return of(Kind::kList, mapped);
    if (node.text == "filter")
      return of(Kind::kList, range.is(Kind::kMap) ? Type{Kind::kString} : element_of(range));
    return Type{Kind::kBool};
  }

  std::string_view text_;
  Type self_;
  const json* root_;
  bool optional_old_self_;
  std::vector<std::pair<std::string, Type>> variables_;
};

}  // namespace

void check_types(const Program& program, std::string_view text, const json& schema, bool is_root,
                 bool optional_old_self, Result wanted) {
  Check check(text, schema, is_root, optional_old_self);
  const Type type = check.type(program.root());
  const bool boolean = wanted == Result::kBool;
  if (type.kind != (boolean ? Kind::kBool : Kind::kString))
    throw SyntaxError(std::string("cel expression must evaluate to a ") + (boolean ? "bool" : "string"));
}

}  // namespace stepdown::local::api::cel
