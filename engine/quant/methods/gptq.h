#pragma once

#include "engine/quant/methods/weight_method.h"

namespace stepdown::quant {

/// GPTQ (Frantar et al. 2022): columns one after the other, the error of each spread over those to come by
/// the inverse Hessian of the layer's inputs. 2, 3, 4, 8 bits; act-order, static groups, true-sequential;
/// damping grows by itself until the Hessian can be factored. AutoGPTQ's layout, version 1 or 2.
WeightMethod gptq_method();

}  // namespace stepdown::quant
