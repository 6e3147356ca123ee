#pragma once

#include <cstdint>

#include "engine/tokenizer/jinja/ast.h"
#include "engine/tokenizer/jinja/scope.h"

namespace stepdown::tokenizer::jinja {

/// Expression → value.
class Evaluator {
 public:
  explicit Evaluator(Scope& scope) : scope_(scope) {}
  /// Throws InputError at the expression's place.
  Value evaluate(const Expression& expression);
  /// Counts work; throws InputError when a render does far more than templates do.
  void step(const Place& place);

 private:
  Value compute(const Expression& expression);
  Value call(const Expression& expression);
  Value slice(const Expression& expression);
  Value binary(const Expression& expression);
  Value compare(const Expression& expression);
  Value unary(const Expression& expression);

  Scope& scope_;
  std::uint64_t steps_ = 0;
};

}  // namespace stepdown::tokenizer::jinja
