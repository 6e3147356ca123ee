#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/jinja/value.h"

namespace stepdown::tokenizer::jinja {

/// Compares as Python's `<`; throws InputError that names `op` for what has no order.
bool less(const Value& a, const Value& b, std::string_view op);

/// Arguments of a filter, test, method or function; the object itself is positional[0] except for functions.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;

  const Value& object() const { return positional[0]; }
  /// The argument at `index` (the object is 0) or of that name; nullptr when it was not given.
  const Value* get(std::size_t index, std::string_view name) const;
  std::int64_t integer(std::size_t index, std::string_view name, std::int64_t otherwise) const;
  /// Throws InputError when it is absent or no string.
  const std::string& text(std::size_t index, std::string_view name) const;
};

using Builtin = Value (*)(const Arguments&);

/// nullptr when there is none of that name. All throw InputError on arguments they cannot take.
Builtin find_filter(std::string_view name);
Builtin find_test(std::string_view name);
Builtin find_method(const Value& object, std::string_view name);
Builtin find_function(std::string_view name);

/// obj[key] and obj.key for plain data; undefined when there is none.
Value item_of(const Value& object, const Value& key);
/// Limits what one expression can build: InputError beyond 64 MiB.
void check_size(std::size_t bytes);

}  // namespace stepdown::tokenizer::jinja
