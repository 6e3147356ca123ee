#include <array>

#include "engine/quant/methods/autoround.h"
#include "engine/quant/methods/awq.h"
#include "engine/quant/methods/fp8.h"
#include "engine/quant/methods/gptq.h"
#include "engine/quant/methods/nf4.h"
#include "engine/quant/methods/rounding.h"
#include "engine/quant/methods/smoothquant.h"

namespace stepdown::quant {

std::span<const WeightMethod> weight_methods() {
  static const std::array kMethods = {int8_method(),      int4_method(), gptq_method(), awq_method(),
                                      autoround_method(), fp8_method(),  nf4_method(),  smoothquant_method()};
  return kMethods;
}

}  // namespace stepdown::quant
