#pragma once

#include <vector>

#include "operator/compat/finding.h"
#include "operator/compat/subject.h"

namespace stepdown::compat {

/// All that the rules find, in the order of their ids: the one entry point, for webhook, controller and
/// command line alike. Pure, without I/O, microseconds; rules that need an absent fact are silent.
std::vector<Finding> judge(const api::QuantizedModelSpec& spec, const Inventory& inventory);

}  // namespace stepdown::compat
