#pragma once

#include <string_view>

namespace stepdown::runtime {

/// Schemas as applications send them, each with documents that models answered: a JSON list of
/// {"name", "schema", "documents"}.
std::string_view bench_grammar_cases();

}  // namespace stepdown::runtime
