#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::tokenizer::jinja {

class Value;
using List = std::vector<Value>;

/// Keeps the order in which keys came, as Python's dict does.
struct Dict {
  std::vector<std::pair<std::string, Value>> entries;
  bool assignable = false;  ///< made by namespace(): `set ns.key = …` works
  bool numbered = false;    ///< its keys are written as integers, and count as such
  Value key(std::size_t index) const;
  const Value* find(std::string_view key) const;
  void set(std::string_view key, Value value);
};

/// A name or attribute that does not exist; prints as nothing, is false, and may not be used otherwise.
struct Undefined {
  std::string name;
};
struct None {};

struct Arguments;
/// A macro, or the `caller` of a call block. Lives no longer than the render that made it.
struct Callable {
  std::function<Value(const Arguments&)> call;
};

/// What a template computes with: Python's values as far as templates use them. Lists and dicts are shared,
/// as in Python; only namespaces ever change after they were made, and only to hold other values.
class Value {
 public:
  using Variant =
      std::variant<Undefined, None, bool, std::int64_t, double, std::string, std::shared_ptr<const List>,
                   std::shared_ptr<Dict>, std::shared_ptr<const Callable>>;

  Value() : data_(None{}) {}
  template <typename T>
  requires std::is_constructible_v<Variant, T> Value(T value)
      : data_(std::move(value)) {}  // NOLINT(google-explicit-constructor): values are made of parts
  static Value undefined(std::string_view name) { return Variant(Undefined{std::string(name)}); }
  static Value list(List items) { return Variant(std::make_shared<const List>(std::move(items))); }
  static Value text(std::string_view text) { return Variant(std::string(text)); }
  static Value from_json(const nlohmann::ordered_json& json);

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&data_);
  }
  bool is_undefined() const { return as<Undefined>() != nullptr; }
  bool is_none() const { return as<None>() != nullptr; }
  const std::string* as_text() const { return as<std::string>(); }
  const List* as_list() const;
  Dict* as_dict() const;
  /// Integers and booleans.
  bool is_integer() const { return as<std::int64_t>() != nullptr || as<bool>() != nullptr; }
  bool is_number() const { return is_integer() || as<double>() != nullptr; }
  std::int64_t to_integer() const;  ///< 0 when it is none
  double to_number() const;

  bool truthy() const;
  /// Python's type name, for messages.
  std::string_view type_name() const;

 private:
  Variant data_;
};

bool operator==(const Value& a, const Value& b);
/// Python's str(): what {{ value }} prints.
std::string to_text(const Value& value);
/// How JSON is laid out; the defaults are those of transformers' `tojson`, Python's json.dumps.
struct JsonStyle {
  int indent = -1;  ///< < 0: one line
  bool sort_keys = false;
  bool ascii = false;
  std::string comma = ", ";
  std::string colon = ": ";
};
/// Throws InputError for values that JSON does not know.
std::string to_json_text(const Value& value, const JsonStyle& style);
/// The elements a `for` walks: list items, dict keys, characters. Throws InputError for others.
List iterate(const Value& value);

}  // namespace stepdown::tokenizer::jinja
