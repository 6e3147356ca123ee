#include "engine/quant/methods/fp8.h"

#include "tests/unit/engine/quant/methods/exported_model.h"

namespace stepdown::quant {
namespace {

TEST(Fp8Static, ScalesOfInputsAreTheLargestThatCalibrationGaveOver448) {
  WeightSettings settings;
  settings.static_activations = true;
  expect_input_scales(ExportedModel(method_named("fp8"), settings), 448);
}

}  // namespace
}  // namespace stepdown::quant
