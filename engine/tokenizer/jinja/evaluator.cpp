#include "engine/tokenizer/jinja/evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/error.h"
#include "engine/tokenizer/jinja/builtins.h"

namespace stepdown::tokenizer::jinja {
namespace {

using Kind = ExpressionKind;

const Value& defined(const Value& value) {
  if (value.is_undefined()) throw InputError("'" + value.as<Undefined>()->name + "' is undefined");
  return value;
}

[[noreturn]] void unsupported(std::string_view op, const Value& a, const Value& b) {
  throw InputError("unsupported operand types for " + std::string(op) + ": '" + std::string(a.type_name()) +
                   "' and '" + std::string(b.type_name()) + "'");
}

Value add(const Value& a, const Value& b) {
  if (a.as_text() != nullptr && b.as_text() != nullptr) {
    check_size(a.as_text()->size() + b.as_text()->size());
    return *a.as_text() + *b.as_text();
  }
  if (a.as_list() != nullptr && b.as_list() != nullptr) {
    List joined = *a.as_list();
    joined.insert(joined.end(), b.as_list()->begin(), b.as_list()->end());
    check_size(joined.size() * sizeof(Value));
    return Value::list(std::move(joined));
  }
  std::int64_t sum = 0;
  if (a.is_integer() && b.is_integer() && !__builtin_add_overflow(a.to_integer(), b.to_integer(), &sum))
    return sum;
  if (a.is_number() && b.is_number()) return a.to_number() + b.to_number();
  unsupported("+", a, b);
}

/// Python's floor division and modulo, whose remainder takes the divisor's sign.
Value divide(std::string_view op, const Value& a, const Value& b) {
  if (b.to_number() == 0) throw InputError("division by zero");
  if (op == "/") return a.to_number() / b.to_number();
  if (a.is_integer() && b.is_integer()) {
    const std::int64_t left = a.to_integer();
    const std::int64_t right = b.to_integer();
    if (right == -1)
      return op == "%" ? std::int64_t{0} : left == std::numeric_limits<std::int64_t>::min() ? left : -left;
    const bool adjust = left % right != 0 && ((left < 0) != (right < 0));
    if (op == "%") return left % right + (adjust ? right : 0);
    return left / right - (adjust ? 1 : 0);
  }
  const double quotient = std::floor(a.to_number() / b.to_number());
  return op == "%" ? a.to_number() - quotient * b.to_number() : quotient;
}

Value arithmetic(std::string_view op, const Value& a, const Value& b) {
  defined(a);
  defined(b);
  if (op == "+") return add(a, b);
  if (!a.is_number() || !b.is_number()) unsupported(op, a, b);
  std::int64_t result = 0;
  if (op == "-") {
    if (a.is_integer() && b.is_integer() && !__builtin_sub_overflow(a.to_integer(), b.to_integer(), &result))
      return result;
    return a.to_number() - b.to_number();
  }
  if (op == "*") {
    if (a.is_integer() && b.is_integer() && !__builtin_mul_overflow(a.to_integer(), b.to_integer(), &result))
      return result;
    return a.to_number() * b.to_number();
  }
  return divide(op, a, b);
}

bool holds(std::string_view op, const Value& a, const Value& b) {
  if (op == "==") return a == b;
  if (op == "!=") return !(a == b);
  if (op == "<") return less(a, b, op);
  if (op == ">") return less(b, a, op);
  if (op == "<=") return !less(b, a, op);
  if (op == ">=") return !less(a, b, op);
  const bool contains = find_test("in")({{a, b}, {}}).truthy();
  return op == "in" ? contains : !contains;
}

}  // namespace

void Evaluator::step(const Place& place) {
  constexpr std::uint64_t kMost = 5'000'000;
  if (++steps_ > kMost) fail(place, "the chat template does not end");
}

Depth::Depth(Evaluator& evaluator, const Place& place) : evaluator_(evaluator) {
  constexpr int kDeepest = 800;
  if (evaluator_.depth_ >= kDeepest) fail(place, "macros call each other too deeply");
  ++evaluator_.depth_;
}

Depth::~Depth() {
  --evaluator_.depth_;
}

Value Evaluator::evaluate(const Expression& expression) {
  return placed(expression, [&] { return compute(expression); });
}

Value Evaluator::evaluate_call(const Expression& expression, Value caller) {
  return placed(expression, [&] { return call(expression, &caller); });
}

template <typename Compute>
Value Evaluator::placed(const Expression& expression, const Compute& compute_value) {
  step(expression.place);
  const Depth depth(*this, expression.place);
  try {
    return compute_value();
  } catch (const InputError& error) {
    if (!error.where().empty()) throw;
    fail(expression.place, error.what());
  }
}

Value Evaluator::compute(const Expression& expression) {
  const auto child = [&](std::size_t i) { return evaluate(*expression.children[i]); };
  switch (expression.kind) {
    case Kind::kLiteral:
      return expression.value;
    case Kind::kName: {
      if (const Value* found = scope_.find(expression.name)) return *found;
      if (const Builtin function = find_function(expression.name))
        return std::make_shared<const Callable>(Callable{function});
      return Value::undefined(expression.name);
    }
    case Kind::kList: {
      List items;
      for (std::size_t i = 0; i < expression.children.size(); ++i) items.push_back(child(i));
      return Value::list(std::move(items));
    }
    case Kind::kDict: {
      auto dict = std::make_shared<Dict>();
      for (std::size_t i = 0; i + 1 < expression.children.size(); i += 2)
        dict->set(to_text(child(i)), child(i + 1));
      dict->numbered = !dict->entries.empty() && [&] {
        for (std::size_t i = 0; i + 1 < expression.children.size(); i += 2) {
          if (expression.children[i]->value.as<std::int64_t>() == nullptr) return false;
        }
        return true;
      }();
      return dict;
    }
    case Kind::kAttribute:
      return item_of(child(0), Value(expression.name));
    case Kind::kItem:
      return item_of(child(0), child(1));
    case Kind::kSlice:
      return slice(expression);
    case Kind::kCondition:
      if (child(0).truthy()) return child(1);
      return expression.children[2] ? child(2) : Value::undefined("the value without else");
    case Kind::kUnary:
      return unary(expression);
    case Kind::kBinary:
      return binary(expression);
    case Kind::kCompare:
      return compare(expression);
    case Kind::kCall:
    case Kind::kFilter:
    case Kind::kTest:
      return call(expression);
  }
  throw Error("unreachable expression");
}

Value Evaluator::call(const Expression& expression, const Value* caller) {
  Arguments args;
  Builtin builtin = nullptr;
  Value target;  // holds a macro while it runs
  const Expression& callee = *expression.children[0];
  std::string_view name = expression.name;
  if (expression.kind == Kind::kFilter || expression.kind == Kind::kTest) {
    args.positional.push_back(evaluate(callee));
    builtin = expression.kind == Kind::kFilter ? find_filter(name) : find_test(name);
  } else if (callee.kind == Kind::kAttribute) {
    const Value object = defined(evaluate(*callee.children[0]));
    name = callee.name;
    builtin = find_method(object, name);
    if (builtin == nullptr) target = item_of(object, Value::text(name));
    if (builtin != nullptr) args.positional.push_back(object);
  } else {
    name = callee.name;
    target = evaluate(callee);
  }
  const auto* callable = target.as<std::shared_ptr<const Callable>>();
  if (builtin == nullptr && callable == nullptr)
    throw InputError("'" + std::string(name) + "' is not supported here");
  for (std::size_t i = 1; i < expression.children.size(); ++i)
    args.positional.push_back(evaluate(*expression.children[i]));
  for (const auto& [key, value] : expression.keywords) args.keywords.emplace_back(key, evaluate(*value));
  if (caller != nullptr) args.keywords.emplace_back("caller", *caller);
  return builtin != nullptr ? builtin(args) : (*callable)->call(args);
}

Value Evaluator::slice(const Expression& expression) {
  const Value object = defined(evaluate(*expression.children[0]));
  const List items = iterate(object);
  const auto size = static_cast<std::int64_t>(items.size());
  const auto part = [&](std::size_t i, std::int64_t otherwise) {
    if (!expression.children[i]) return otherwise;
    const Value value = evaluate(*expression.children[i]);
    return value.is_none() ? otherwise : value.to_integer();
  };
  const std::int64_t step = part(3, 1);
  if (step == 0) throw InputError("slice step cannot be zero");
  const auto bound = [&](std::int64_t index) {
    const std::int64_t low = step > 0 ? 0 : -1;
    if (index < 0) index = std::max(index, -size - 1) + size;
    return std::clamp(index, low, step > 0 ? size : size - 1);
  };
  const std::int64_t begin = expression.children[1] ? bound(part(1, 0)) : step > 0 ? 0 : size - 1;
  const std::int64_t end = expression.children[2] ? bound(part(2, size)) : step > 0 ? size : -1;
  List out;
  const std::int64_t stride = std::clamp(step, -size - 1, size + 1);
  for (std::int64_t i = begin; stride > 0 ? i < end : i > end; i += stride)
    out.push_back(items[static_cast<std::size_t>(i)]);
  if (object.as_text() == nullptr) return Value::list(std::move(out));
  std::string text;
  for (const Value& item : out) text += *item.as_text();
  return text;
}

Value Evaluator::unary(const Expression& expression) {
  const Value value = evaluate(*expression.children[0]);
  if (expression.name == "not") return !value.truthy();
  if (!value.is_number()) throw InputError("bad operand type for unary " + expression.name);
  return expression.name == "-" ? arithmetic("-", std::int64_t{0}, value) : value;
}

Value Evaluator::binary(const Expression& expression) {
  Value left = evaluate(*expression.children[0]);
  if (expression.name == "and") return left.truthy() ? evaluate(*expression.children[1]) : left;
  if (expression.name == "or") return left.truthy() ? left : evaluate(*expression.children[1]);
  const Value right = evaluate(*expression.children[1]);
  if (expression.name != "~") return arithmetic(expression.name, left, right);
  std::string joined = to_text(left) + to_text(right);
  check_size(joined.size());
  return joined;
}

Value Evaluator::compare(const Expression& expression) {
  Value left = evaluate(*expression.children[0]);
  for (std::size_t i = 0; i < expression.names.size(); ++i) {
    Value right = evaluate(*expression.children[i + 1]);
    if (!holds(expression.names[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

}  // namespace stepdown::tokenizer::jinja
