#pragma once

#include <string_view>

namespace stepdown::gateway {

/// How far two answers to the same request differ, in [0, 1]. Where both are JSON: the share of leaf paths
/// whose values differ or that only one has (text compared without case and outer space). Else one minus the
/// F1 of their words. Symmetric; 0 for equal texts.
double disagreement(std::string_view a, std::string_view b);

}  // namespace stepdown::gateway
