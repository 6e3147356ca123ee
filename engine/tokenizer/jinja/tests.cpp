#include <algorithm>
#include <array>
#include <string>

#include "engine/base/error.h"
#include "engine/tokenizer/jinja/builtins.h"

namespace stepdown::tokenizer::jinja {
namespace {

const Value& other(const Arguments& args) {
  if (args.positional.size() < 2) throw InputError("the test needs an argument");
  return args.positional[1];
}

Value is_defined(const Arguments& args) {
  return !args.object().is_undefined();
}
Value is_undefined(const Arguments& args) {
  return args.object().is_undefined();
}
Value is_none(const Arguments& args) {
  return args.object().is_none();
}
Value is_string(const Arguments& args) {
  return args.object().as_text() != nullptr;
}
Value is_number(const Arguments& args) {
  return args.object().is_number();
}
Value is_integer(const Arguments& args) {
  return args.object().as<std::int64_t>() != nullptr;
}
Value is_float(const Arguments& args) {
  return args.object().as<double>() != nullptr;
}
Value is_boolean(const Arguments& args) {
  return args.object().as<bool>() != nullptr;
}
Value is_true(const Arguments& args) {
  return is_boolean(args).truthy() && args.object().truthy();
}
Value is_false(const Arguments& args) {
  return is_boolean(args).truthy() && !args.object().truthy();
}
Value is_mapping(const Arguments& args) {
  return args.object().as_dict() != nullptr;
}
Value is_iterable(const Arguments& args) {
  const Value& value = args.object();
  return value.as_text() != nullptr || value.as_list() != nullptr || value.as_dict() != nullptr ||
         value.is_undefined();
}
Value is_callable(const Arguments& args) {
  return args.object().as<std::shared_ptr<const Callable>>() != nullptr;
}
Value is_odd(const Arguments& args) {
  return args.object().to_integer() % 2 != 0;
}
Value is_even(const Arguments& args) {
  return args.object().to_integer() % 2 == 0;
}
Value is_equal(const Arguments& args) {
  return args.object() == other(args);
}
Value is_unequal(const Arguments& args) {
  return !(args.object() == other(args));
}
Value is_in(const Arguments& args) {
  const Value& container = other(args);
  if (container.as_text() != nullptr && args.object().as_text() != nullptr) {
    return container.as_text()->find(*args.object().as_text()) != std::string::npos;
  }
  const List items = iterate(container);
  return std::ranges::find(items, args.object()) != items.end();
}

struct Row {
  std::string_view name;
  Builtin test;
};

constexpr auto kTests = std::to_array<Row>({
    {"boolean", is_boolean}, {"callable", is_callable}, {"defined", is_defined},
    {"eq", is_equal},        {"equalto", is_equal},     {"even", is_even},
    {"false", is_false},     {"float", is_float},       {"in", is_in},
    {"integer", is_integer}, {"iterable", is_iterable}, {"mapping", is_mapping},
    {"ne", is_unequal},      {"none", is_none},         {"number", is_number},
    {"odd", is_odd},         {"sameas", is_equal},      {"sequence", is_iterable},
    {"string", is_string},   {"true", is_true},         {"undefined", is_undefined},
});

}  // namespace

Builtin find_test(std::string_view name) {
  const auto* row = std::ranges::find(kTests, name, &Row::name);
  return row == kTests.end() ? nullptr : row->test;
}

}  // namespace stepdown::tokenizer::jinja
