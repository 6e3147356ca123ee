#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::local::api::cel {

struct Node;

/// The expression is no CEL, or uses what this subset lacks: a CRD that holds it is refused.
class SyntaxError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Evaluation failed, e.g. "no such key: x".
class EvaluationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A compiled expression of the Common Expression Language (github.com/google/cel-spec), the subset that CRD
/// validation rules use: literals, operators, ternary, has(), the macros all, exists, exists_one, map,
/// filter, and the functions listed in functions.cpp. Values are JSON. Immutable, safe from any thread.
class Program {
 public:
  /// Throws SyntaxError also for names other than `self`, `oldSelf` and macro variables, and for unknown
  /// functions.
  static Program compile(std::string_view text);

  bool uses_old_self() const { return uses_old_self_; }
  /// `old_self` is read only by transition rules; where it is optional, a list of one value or none. Throws
  /// EvaluationError, also when the work exceeds its budget.
  nlohmann::json evaluate(const nlohmann::json& self, const nlohmann::json* old_self) const;
  const Node& root() const { return *root_; }

 private:
  std::shared_ptr<const Node> root_;
  bool uses_old_self_ = false;
};

}  // namespace stepdown::local::api::cel
