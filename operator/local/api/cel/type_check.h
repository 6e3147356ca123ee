#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "operator/local/api/cel/program.h"

namespace stepdown::local::api::cel {

enum class Result { kBool, kString };

/// Checks an expression against the structural schema of `self`, as an API server does when a CRD is made:
/// fields that the schema has, operators and functions that take such values, and what comes out. Throws
/// SyntaxError, with the place. `optional_old_self`: oldSelf has hasValue(), value() and orValue() instead of
/// the fields.
void check_types(const Program& program, std::string_view text, const nlohmann::json& schema, bool is_root,
                 bool optional_old_self, Result wanted);

}  // namespace stepdown::local::api::cel
