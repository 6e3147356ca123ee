#include "engine/formats/staging_folder.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/engine/formats/temp_folder.h"
#include <gtest/gtest.h>

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
      for (int time = 0; time < 15; ++time) {
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

TEST(StagingFolder, WhoWaitsForAnotherSaysSo) {
  const TempFolder parent;
  const std::string key = "0123456789abcdef";
  auto first = std::make_unique<StagingFolder>(parent.path(), key);
  testing::internal::CaptureStderr();
  std::thread second([&] { StagingFolder folder(parent.path(), key); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  first.reset();
  second.join();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("waiting for it"), std::string::npos);
}

TEST(StagingFolder, AFileThatAKilledRunHadNotWrittenToItsEndIsNoPartOfTheResult) {
  const TempFolder parent;
  const fs::path left = parent / ".partial-0123456789abcdef";
  fs::create_directories(left);
  for (const char* name : {"config.json", "tokenizer.json.tmp-4711", "notes.tmp-x", "x.tmp-"})
    write_file(left / name, "1");
  StagingFolder folder(parent.path(), "0123456789abcdef");
  folder.publish_folder(parent / "result");
  EXPECT_FALSE(fs::exists(parent / "result" / "tokenizer.json.tmp-4711"));
  for (const char* name : {"config.json", "notes.tmp-x", "x.tmp-"})
    EXPECT_TRUE(fs::exists(parent / "result" / name)) << name << " may be the model's";
}

}  // namespace
}  // namespace stepdown::formats
