#pragma once

#include "engine/base/program.h"

namespace stepdown::quant {

/// `stepdown-engine reproduce`: makes the artifact of a QuantRevision again from its record, and compares
/// digests.
Command reproduce_command();

}  // namespace stepdown::quant
