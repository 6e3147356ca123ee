#include "operator/local/state_folder.h"

#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "operator/local/api/server.h"

namespace stepdown::local {
namespace {

namespace fs = std::filesystem;

class StateFolder : public testing::Test {
 protected:
  StateFolder() { fs::remove_all(dir_); }
  ~StateFolder() override { fs::remove_all(dir_); }

  static unsigned mode(const fs::path& file) {
    struct stat found {};
    return ::stat(file.c_str(), &found) == 0 ? found.st_mode & 0777U : 0;
  }
  template <class Act>
  static std::string refusal(Act act) {
    try {
      act();
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

  const fs::path dir_ = fs::temp_directory_path() / ("state_folder_test_" + std::to_string(::getpid()));
};

TEST_F(StateFolder, IsItsOwnersAlone) {
  const fs::path opened = open_state_folder(dir_ / "new");
  EXPECT_EQ(opened, fs::canonical(dir_ / "new"));
  EXPECT_EQ(mode(dir_ / "new"), 0700U);
}

TEST_F(StateFolder, AFileIsRefusedInOneLine) {
  fs::create_directories(dir_);
  std::ofstream(dir_ / "file") << "x";
  for (const fs::path& path : {dir_ / "file", dir_ / "file" / "below"}) {
    const std::string text = refusal([&] { open_state_folder(path); });
    EXPECT_NE(text.find("--dir"), std::string::npos) << text;
    EXPECT_EQ(text.find("filesystem error"), std::string::npos) << text;
  }
}

TEST_F(StateFolder, ASecondApiServerIsRefusedAndNamesTheFirst) {
  const api::ServerOptions options{.folder = dir_};
  {
    const api::Server first(options);
    const std::string text = refusal([&] { api::Server second(options); });
    EXPECT_NE(text.find("process " + std::to_string(::getpid())), std::string::npos) << text;
    EXPECT_EQ(lock_holder(dir_ / "api.lock"), ::getpid());
  }
  EXPECT_EQ(lock_holder(dir_ / "api.lock"), std::nullopt);
  fs::remove(dir_ / "port");  // a listener that never served stays bound in this process
  EXPECT_EQ(refusal([&] { api::Server next(options); }), "");
}

TEST_F(StateFolder, SecretsAreReadableByTheirOwnerAlone) {
  const api::Server server({.folder = dir_});
  EXPECT_EQ(mode(dir_), 0700U);
  EXPECT_EQ(mode(dir_ / "objects.db"), 0600U);
  EXPECT_EQ(mode(dir_ / "objects.db-wal"), 0600U);
  EXPECT_EQ(mode(dir_ / "kubeconfig"), 0600U);
  EXPECT_EQ(mode(dir_ / "pki" / "service-accounts.key"), 0600U);
}

}  // namespace
}  // namespace stepdown::local
