#include "engine/kernels/cuda/device_choice.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace stepdown::kernels::cuda {
namespace {

using Kind = DeviceRequest::Kind;
constexpr std::size_t kGib = std::size_t{1} << 30;

Machine machine_of(std::vector<DeviceFacts> devices) {
  return {nullptr, "no GPU: no driver", std::move(devices)};
}
const DeviceFacts kTuring = {"T4", 75, 40, 16 * kGib, 15 * kGib};
const DeviceFacts kAda = {"RTX 4090", 89, 128, 24 * kGib, 20 * kGib};
const DeviceFacts kHopper = {"H200", 90, 132, 141 * kGib, 10 * kGib};

TEST(DeviceChoice, ReadsRequests) {
  EXPECT_EQ(device_request_of("cpu")->kind, Kind::kCpu);
  EXPECT_EQ(device_request_of("auto")->kind, Kind::kAuto);
  EXPECT_EQ(device_request_of("cuda")->ordinal, -1);
  EXPECT_EQ(device_request_of("cuda:3")->ordinal, 3);
  for (const char* wrong : {"", "gpu", "cuda:", "cuda:-1", "cuda:1x", "cuda1", "CUDA", "cuda:99999999999"})
    EXPECT_FALSE(device_request_of(wrong)) << wrong;
}

TEST(DeviceChoice, AutoTakesTheDeviceWithTheMostFreeMemoryThatIsNewEnough) {
  EXPECT_EQ(choose({Kind::kAuto}, machine_of({kHopper, kAda, kTuring})).ordinal, 1);
  const Choice old = choose({Kind::kAuto}, machine_of({kTuring}));
  EXPECT_FALSE(old.ordinal);
  EXPECT_NE(old.reason.find("compute capability 7.5"), std::string::npos) << old.reason;
  const Choice none = choose({Kind::kAuto}, machine_of({}));
  EXPECT_FALSE(none.ordinal);
  EXPECT_EQ(none.reason, "no GPU: no driver");
}

TEST(DeviceChoice, WhatIsAskedForAndCannotBeHadIsRefused) {
  EXPECT_EQ(choose({Kind::kCuda, 0}, machine_of({kHopper, kAda})).ordinal, 0);
  EXPECT_THROW(choose({Kind::kCuda, 2}, machine_of({kHopper, kAda})), InputError);
  EXPECT_THROW(choose({Kind::kCuda, 0}, machine_of({kTuring})), InputError);
  EXPECT_THROW(choose({Kind::kCuda}, machine_of({})), InputError);
  EXPECT_FALSE(choose({Kind::kCpu}, machine_of({kHopper})).ordinal);
}

TEST(DeviceChoice, TheLibraryOpensOnMachinesWithoutADriver) {
  const std::filesystem::path bin = STEPDOWN_BIN_DIR;
  const std::filesystem::path library = bin.parent_path() / "lib/libstepdown-cuda.so";
  if (!std::filesystem::exists(library)) GTEST_SKIP() << "the CUDA kernels were not compiled";
  const Library opened = open_library(library);
  EXPECT_NE(std::string(opened->architectures).find("90a"), std::string::npos) << opened->architectures;
  int count = 0;
  const Failure failure = opened->runtime.count(&count);
  EXPECT_TRUE(failure != nullptr || count > 0) << "neither a GPU nor a reason";
}

TEST(DeviceChoice, AMissingLibraryIsToldNotThrown) {
  ::setenv("STEPDOWN_CUDA_LIBRARY", "/nowhere/libstepdown-cuda.so", 1);
  const Machine machine = look_around();
  ::unsetenv("STEPDOWN_CUDA_LIBRARY");
  EXPECT_TRUE(machine.devices.empty());
  EXPECT_NE(machine.why_none.find("/nowhere/libstepdown-cuda.so"), std::string::npos) << machine.why_none;
}

}  // namespace
}  // namespace stepdown::kernels::cuda
