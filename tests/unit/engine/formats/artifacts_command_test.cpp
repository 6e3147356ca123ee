#include "engine/formats/artifacts_command.h"

#include "tests/unit/engine/base/run_command.h"
#include "tests/unit/engine/formats/temp_folder.h"
#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

int run(Arguments arguments) {
  return run_command(artifacts_command(), std::move(arguments));
}

const std::string kArtifact(64, 'a');
const std::string kCopy = "sources/0123456789abcdef";

TEST(ArtifactsCommand, RemovesACopyAndWhatIsThereOfOneThatWasNeverWhole) {
  const TempFolder dir;
  for (const std::string& folder : {kArtifact, kCopy, std::string("sources/.partial-0123456789abcdef/parts"),
                                    std::string("sources/fedcba9876543210")}) {
    fs::create_directories(dir / folder);
    write_file(dir / (folder + "/file"), "x");
  }
  const std::string log = dir / "log";
  EXPECT_EQ(run({"--dir", dir.path(), "--remove", kCopy, "--termination-log", log}), kDone);
  EXPECT_FALSE(fs::exists(dir / kCopy));
  EXPECT_FALSE(fs::exists(dir / "sources/.partial-0123456789abcdef"));
  EXPECT_TRUE(fs::exists(dir / "sources/fedcba9876543210/file")) << "another's";
  EXPECT_TRUE(fs::exists(dir / (kArtifact + "/file")));
}

TEST(ArtifactsCommand, RefusesWhatItDidNotName) {
  const TempFolder dir;
  for (const char* name : {"sources", "sources/", "sources/..", "sources/0123", "sources/0123456789abcdeg",
                           "sources/0123456789abcdef/model.gguf", "../x", "reports/../x", ""}) {
    EXPECT_THROW(run({"--dir", dir.path(), "--remove", name, "--termination-log", dir / "log"}), InputError)
        << name;
  }
}

}  // namespace
}  // namespace stepdown::formats
