#include "engine/base/termination_log.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/system_facts.h"

namespace stepdown {
namespace {

TEST(TerminationLog, WritesOnlyWhereTheKubeletLeftAFile) {
  const auto path = std::filesystem::path(testing::TempDir()) / "termination-log";
  std::filesystem::remove(path);
  write_termination_log(path.string(), "lost");
  EXPECT_FALSE(std::filesystem::exists(path));
  write_file_atomically(path, "older and longer");
  write_termination_log(path.string(), "done");
  EXPECT_EQ(read_file(path), "done");
  EXPECT_THROW(write_termination_log(path.string(), std::string(4097, 'x')), Error);
  std::filesystem::remove(path);
}

TEST(SystemFacts, PeakMemoryCoversWhatWasTouched) {
  const std::string block(32 << 20, 'x');
  EXPECT_GT(peak_memory_bytes(), block.size());
  EXPECT_FALSE(cpu_name().empty());
}

}  // namespace
}  // namespace stepdown
