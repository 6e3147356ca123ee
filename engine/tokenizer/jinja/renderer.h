#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/tokenizer/jinja/ast.h"

namespace stepdown::tokenizer::jinja {

/// Runs a parsed template. Throws InputError with line and column; work and output are bounded, so that no
/// template runs forever.
std::string render(const Block& block, const nlohmann::ordered_json& variables);

}  // namespace stepdown::tokenizer::jinja
