#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "operator/api/kinds.h"

namespace stepdown::cli {

/// The state of a QuantizedModel as lines of at most `width` columns: what serves now, how the rollout goes,
/// the candidates' figures against FP16, what is wrong and what to do. Pure.
std::vector<std::string> status_lines(const api::QuantizedModel& model, std::size_t width,
                                      std::chrono::system_clock::time_point now);

}  // namespace stepdown::cli
