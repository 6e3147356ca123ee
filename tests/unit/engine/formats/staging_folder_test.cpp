#include "engine/formats/staging_folder.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/engine/formats/temp_folder.h"
#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

TEST(StagingFolder, NoTwoWorkInOneThoughManyWaitForIt) {
  const TempFolder parent;
  std::atomic<int> within{0};
  std::atomic<bool> shared{false};
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 6; ++worker) {
    workers.emplace_back([&, worker] {
      for (int time = 0; time < 50; ++time) {
        StagingFolder folder(parent.path(), "0123456789abcdef");
        if (within++ > 0 || !fs::is_empty(folder.path())) shared = true;
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        --within;
        if (worker % 2 == 0) {
          folder.publish_folder(parent / ("result-" + std::to_string(worker) + "-" + std::to_string(time)));
        } else {
          folder.discard();
        }
      }
    });
  }
  for (std::thread& each : workers) each.join();
  EXPECT_FALSE(shared);
}

}  // namespace
}  // namespace stepdown::formats
