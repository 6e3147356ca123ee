#pragma once

#include "engine/quant/method.h"

namespace stepdown::quant {

/// Mixed precision by sensitivity, as GGUF: each matrix gets the type that spares the model most loss for its
/// bytes, under a limit for the whole file (--budget).
Method mixed_method();

}  // namespace stepdown::quant
