#include "engine/quant/methods/qat.h"

#include <filesystem>
#include <memory>

#include "tests/unit/engine/formats/temp_folder.h"
#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>

#include "engine/formats/model_file.h"
#include "engine/quant/method.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

TEST(Qat, TrainingIsKeptUntilTheResultIsWholeAndNoPartOfIt) {
  const RandomModel model(0.15f);
  const auto file = formats::open_model(model.folder.path());
  CalibrationRequest calibration;
  calibration.path = model.prompts();
  const CalibrationSet prompts(*file, calibration);
  MethodRequest request;
  request.weights.group_size = 32;
  request.weights.steps = 61;
  request.learning_rate = 1e-4;  // that so small a model learns by
  const MethodRun run{*file, model.folder.path(), request, &prompts, 2};
  const formats::TempFolder folder;
  fs::create_directories(folder / "config.json/in the way");
  EXPECT_ANY_THROW(qat_method().run(run, folder.path()));
  EXPECT_TRUE(fs::exists(folder / ".training"));
  fs::remove_all(folder / "config.json");
  formats::write_file(folder / ".training.next", "of a run that was killed while it wrote");
  qat_method().run(run, folder.path());
  EXPECT_FALSE(fs::exists(folder / ".training"));
  EXPECT_FALSE(fs::exists(folder / ".training.next"));
}

}  // namespace
}  // namespace stepdown::quant
