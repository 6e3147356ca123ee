#pragma once

#include <span>
#include <string_view>

#include <nlohmann/json.hpp>

namespace stepdown::local::api::cel {

using Json = nlohmann::json;

/// One function; methods get their receiver as the first argument.
struct Function {
  std::string_view name;
  std::size_t least;  ///< arguments, receiver included
  std::size_t most;
  bool method;
  bool global;
  Json (*call)(std::span<const Json> arguments);
};

/// Null when there is none.
const Function* find_function(std::string_view name, bool method, std::size_t arguments);

/// -1, 0, 1; numbers compare across types. Throws EvaluationError for values without an order.
int compare(const Json& left, const Json& right);
bool equal(const Json& left, const Json& right);
Json arithmetic(std::string_view op, const Json& left, const Json& right);
bool contains(const Json& container, const Json& item);

}  // namespace stepdown::local::api::cel
