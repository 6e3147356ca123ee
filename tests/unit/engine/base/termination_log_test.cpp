#include "engine/base/termination_log.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/file_error.h"
#include "engine/base/system_facts.h"

namespace stepdown {
namespace {

TEST(TerminationLog, IsWrittenInPlaceAndBounded) {
  const auto path = std::filesystem::path(testing::TempDir()) / "termination-log";
  write_file_atomically(path, "older and longer than this");
  write_termination_log(path, {{"a", 1}});
  EXPECT_EQ(read_file(path), R"({"a":1})");
  EXPECT_THROW(write_termination_log(path, std::string(4097, 'x')), Error);
  EXPECT_THROW(write_termination_log(path / "absent", {{"a", 1}}), Error);
  EXPECT_NO_THROW(require_termination_log(path));
  EXPECT_THROW(require_termination_log(path / "absent"), InputError);
  EXPECT_THROW(write_termination_log("/dev/full", {{"a", 1}}), DiskFull);
  std::filesystem::remove(path);
}

TEST(SystemFacts, PeakMemoryCoversWhatWasTouched) {
  const std::string block(32 << 20, 'x');
  EXPECT_GT(peak_memory_bytes(), block.size());
  EXPECT_FALSE(cpu_name().empty());
}

}  // namespace
}  // namespace stepdown
