#include "operator/compat/recommend/decision_table.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "operator/api/quantized_model_spec.h"
#include "operator/compat/hardware.h"
#include "operator/compat/matrix.h"
#include "operator/compat/methods.h"

namespace stepdown::compat {
namespace {

/// The comments of all examples' manifests: which rows they answer by.
std::string examples() {
  std::string all;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(STEPDOWN_SOURCE_DIR) + "/examples")) {
    const auto file = entry.path() / "quantizedmodel.yaml";
    if (std::filesystem::exists(file)) all += "\n" + read_file(file.string());
  }
  return all;
}

TEST(DecisionTable, EveryRowHasAnExample) {
  const std::string all = examples();
  const auto shown = [&](std::string_view row) {
    return all.find("\n# " + std::string(row) + ": ") != std::string::npos;
  };
  for (const Platform& row : platforms()) EXPECT_TRUE(shown(row.name)) << row.name;
  for (const Purpose& row : purposes()) EXPECT_TRUE(shown(row.name)) << row.name;
  EXPECT_TRUE(shown(kAdaptersName));
}

TEST(DecisionTable, NamesWhatIsKnown) {
  for (const Platform& row : platforms()) {
    for (const std::string_view each : row.hardware) EXPECT_TRUE(is_hardware(each)) << each;
    for (const Stack& stack : row.stacks) {
      EXPECT_NE(builtin_profile(stack.engine), nullptr) << stack.engine;
      for (const std::string_view each : stack.candidates) {
        const auto known = [&](const Method& method) {
          const std::string name(method.method);
          return method.available && (each == name || each == name + "/" + std::string(method.preset) ||
                                      each == name + "/" + std::to_string(method.bits));
        };
        EXPECT_TRUE(std::any_of(methods().begin(), methods().end(), known)) << each;
      }
    }
  }
}

TEST(DecisionTable, CoversEveryDevice) {
  for (const Device& device : devices()) {
    const auto covers = [&](const Platform& row) {
      return row.crowd <= 1 && std::any_of(row.hardware.begin(), row.hardware.end(),
                                           [&](auto each) { return is_within(device.hardware, each); });
    };
    EXPECT_TRUE(std::any_of(platforms().begin(), platforms().end(), covers)) << device.name;
  }
}

}  // namespace
}  // namespace stepdown::compat
