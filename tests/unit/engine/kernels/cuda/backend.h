#pragma once

#include <cstdlib>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/kernels/cuda/device.h"

namespace stepdown::kernels::cuda {

/// Where a test runs the kernels: the same sources on this machine's processor, or on its GPU.
struct Backend {
  const char* name;
  const char* library;
};
inline std::ostream& operator<<(std::ostream& out, const Backend& backend) {
  return out << backend.name;
}
inline constexpr Backend kBackends[] = {{"emulated", "libstepdown-cuda-emulated.so"},
                                        {"gpu", "libstepdown-cuda.so"}};

/// Tests against both; skipped, with the reason, where there is no GPU.
class OnBackends : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer does not follow the emulation's fibers";
#endif
    try {
      const std::filesystem::path bin = STEPDOWN_BIN_DIR;
      device_.emplace(open_library(bin.parent_path() / "lib" / GetParam().library), 0);
    } catch (const Error& error) {
      ASSERT_STREQ(GetParam().name, "gpu") << error.what();
      GTEST_SKIP() << error.what();
    }
  }

  const Device& device() const {
    return *device_;
  }
  void run(Failure failure) const {
    ASSERT_EQ(failure, nullptr);
    ASSERT_EQ(device().runtime().wait(device().stream()), nullptr);
  }
  template <class T>
  Buffer to_device(const std::vector<T>& values) const {
    return upload(device(), std::span<const T>(values));
  }
  template <class T>
  std::vector<T> to_host(const Buffer& buffer) const {
    std::vector<T> values(buffer.size() / sizeof(T));
    copy_to_host(device(), std::as_writable_bytes(std::span(values)), buffer.as());
    return values;
  }

 private:
  std::optional<Device> device_;
};

inline std::string backend_name(const ::testing::TestParamInfo<Backend>& info) {
  return info.param.name;
}

}  // namespace stepdown::kernels::cuda
