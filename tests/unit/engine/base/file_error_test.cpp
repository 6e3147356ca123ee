#include "engine/base/file_error.h"

#include <cerrno>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/free_space.h"
#include "engine/base/output_file.h"

namespace stepdown {
namespace {

namespace fs = std::filesystem;

template <typename Kind>
std::string said(const auto& work) {
  try {
    telling_file_errors([&] { return work(), 0; });
  } catch (const Kind& error) {
    return error.what();
  }
  return "nothing";
}

fs::filesystem_error thrown(const char* action, const fs::path& path, int code) {
  return {action, path, std::error_code(code, std::system_category())};
}

TEST(FileError, SaysWhatWhereAndHowToMendIt) {
  EXPECT_EQ(said<Error>([] { throw thrown("cannot create directories", "/a/b", EACCES); }),
            "/a/b: cannot create directories: Permission denied; let this user read and write there, or name "
            "another place");
  EXPECT_EQ(said<Error>([] {
              throw fs::filesystem_error("cannot rename", "/a", "/b",
                                         std::error_code(EXDEV, std::system_category()));
            }),
            "/a → /b: cannot rename: Invalid cross-device link; name places of one volume");
  EXPECT_EQ(said<Error>([] { fs::directory_iterator("/nowhere/at/all"); }),
            "/nowhere/at/all: cannot open directory: No such file or directory; check the path");
  EXPECT_EQ(said<Error>([] { throw thrown("status", "/a", EIO); }),
            "/a: cannot be used: Input/output error; check the disk");
  EXPECT_EQ(said<Error>([] { OutputFile("/nowhere/at/all"); }),
            "/nowhere/at/all: cannot create: No such file or directory; check the path");
}

TEST(FileError, TellsAFullDiskFromOtherReasons) {
  const std::string full =
      "/dev/full: cannot write: No space left on device; free some space, or give a larger volume";
  EXPECT_EQ(said<DiskFull>([] { OutputFile("/dev/full").write("text"); }), full);
  EXPECT_NE(said<DiskFull>([] { throw thrown("cannot copy", "/a", EDQUOT); }).find("/a: cannot copy"),
            std::string::npos);
  EXPECT_THROW(said<DiskFull>([] { throw thrown("cannot copy", "/a", EACCES); }), Error);
}

TEST(FreeSpace, IsMissedBeforeTheWork) {
  const fs::path folder = fs::temp_directory_path();
  require_space(folder, 1);
  require_space("/proc", UINT64_MAX);  // which tells of none
  const std::string full =
      said<DiskFull>([&] { require_space(folder, fs::space(folder).capacity + (1 << 20)); });
  EXPECT_NE(full.find(" are free; free some space"), std::string::npos) << full;
}

TEST(ReadFile, NamesAFolderThatStandsInAFilesPlace) {
  EXPECT_EQ(said<InputError>([] { read_file("/usr"); }), "/usr: is a folder; name a file in it");
}

TEST(AtomicFile, LeavesNothingBesideWhatItCouldNotReplace) {
  const fs::path folder = fs::temp_directory_path() / ("atomic-" + std::to_string(::getpid()));
  fs::create_directories(folder / "report.json" / "in the way");
  EXPECT_NE(said<Error>([&] { write_file_atomically(folder / "report.json", "{}"); }).find("a folder stands"),
            std::string::npos);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
  fs::remove_all(folder);
}

TEST(AtomicFile, ADeviceOrPipeIsWrittenToAndStaysOne) {
  const fs::path folder = fs::temp_directory_path() / ("atomic-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const fs::path pipe = folder / "report.json";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  write_file_atomically(pipe, "{}");
  char got[3] = {};
  EXPECT_EQ(::read(reader, got, sizeof got), 2);
  EXPECT_STREQ(got, "{}");
  EXPECT_TRUE(fs::is_fifo(pipe));
  ::close(reader);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace stepdown
