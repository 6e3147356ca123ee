#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "engine/eval/report.h"

namespace stepdown::eval {

std::string html_escaped(std::string_view text);

/// Answers beside FP16's for people to judge: those that got worse first, then others spread over the data
/// set.
void answers_side_by_side(std::ostream& out, const Report& report, const Report& baseline,
                          const Prompts& prompts);

}  // namespace stepdown::eval
