#pragma once

#include <cstdint>

#include "engine/tokenizer/jinja/ast.h"
#include "engine/tokenizer/jinja/scope.h"

namespace stepdown::tokenizer::jinja {

class Evaluator;

/// Counts one level of recursion for as long as it lives; macros may call themselves.
class Depth {
 public:
  /// Throws InputError when the stack would grow beyond what templates need.
  Depth(Evaluator& evaluator, const Place& place);
  ~Depth();
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  Evaluator& evaluator_;
};

/// Expression → value.
class Evaluator {
 public:
  explicit Evaluator(Scope& scope) : scope_(scope) {}
  /// Throws InputError at the expression's place.
  Value evaluate(const Expression& expression);
  /// A call with `caller` as one more keyword argument, as call blocks make it.
  Value evaluate_call(const Expression& expression, Value caller);
  /// Counts work; throws InputError when a render does far more than templates do.
  void step(const Place& place);

 private:
  /// Names the expression's place in errors that have none yet.
  template <typename Compute>
  Value placed(const Expression& expression, const Compute& compute_value);
  Value compute(const Expression& expression);
  Value call(const Expression& expression, const Value* caller = nullptr);
  Value slice(const Expression& expression);
  Value binary(const Expression& expression);
  Value compare(const Expression& expression);
  Value unary(const Expression& expression);

  friend class Depth;
  Scope& scope_;
  int depth_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace stepdown::tokenizer::jinja
