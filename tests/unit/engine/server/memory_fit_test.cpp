#include "engine/server/memory_fit.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace stepdown::server {
namespace {

namespace fs = std::filesystem;

class MemoryLimit : public testing::Test {
 protected:
  MemoryLimit() : root_(fs::path(testing::TempDir()) / "memory_limit") {
    fs::remove_all(root_);
    put("proc/meminfo", "MemTotal:       1000 kB\nMemFree:        10 kB\n");
  }
  ~MemoryLimit() override { fs::remove_all(root_); }
  void put(const char* file, const char* text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  fs::path root_;
};

TEST_F(MemoryLimit, IsTheMachinesWithoutGroups) {
  EXPECT_EQ(memory_limit(root_), 1'024'000);
  EXPECT_EQ(memory_limit(root_ / "nowhere"), std::nullopt);
}

TEST_F(MemoryLimit, IsTheLeastOfTheGroupsAround) {
  put("proc/self/cgroup", "0::/kubepods/pod1/engine\n");
  put("sys/fs/cgroup/kubepods/pod1/engine/memory.max", "max\n");
  put("sys/fs/cgroup/kubepods/pod1/memory.max", "700000\n");
  put("sys/fs/cgroup/kubepods/memory.max", "800000\n");
  EXPECT_EQ(memory_limit(root_), 700'000);
  put("sys/fs/cgroup/memory.max", "5000\n");  // a container sees its own group as the root
  EXPECT_EQ(memory_limit(root_), 5000);
}

TEST_F(MemoryLimit, KnowsTheFirstVersionOfGroups) {
  put("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a/b\n");
  put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9000\n");
  put("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(memory_limit(root_), 9000);
}

TEST(MemoryFit, WhatCannotFitIsRefusedWithTheCheapestChange) {
  const auto model = formats::open_model(fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime/tied_gqa");
  constexpr std::int64_t kMiB = 1 << 20;
  const runtime::EngineOptions options{.context = 128, .max_sequences = 512};
  EXPECT_NO_THROW(check_memory(*model, nullptr, options, 1024 * kMiB));
  try {
    check_memory(*model, nullptr, options, 30 * kMiB);
    FAIL();
  } catch (const InputError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("serving takes "), std::string::npos) << text;
    EXPECT_NE(text.find("give --"), std::string::npos) << text;
  }
  // The tokens that the cache holds count, however many sequences share them; a draft model has a cache too.
  EXPECT_NO_THROW(
      check_memory(*model, nullptr, {.context = 128, .max_sequences = 512, .kv_tokens = 256}, 30 * kMiB));
  const runtime::EngineOptions many{.context = 128, .max_sequences = 300};
  const auto fits = [&](const formats::ModelFile* draft, std::int64_t limit) {
    try {
      check_memory(*model, draft, many, limit);
      return true;
    } catch (const InputError&) {
      return false;
    }
  };
  std::int64_t least = kMiB;
  while (!fits(nullptr, least)) least += kMiB;
  EXPECT_GT(least, 20 * kMiB);
  EXPECT_FALSE(fits(model.get(), least));
}

}  // namespace
}  // namespace stepdown::server
