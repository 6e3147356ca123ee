#include "engine/base/hash.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown {
namespace {

namespace fs = std::filesystem;

class HashTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_ = fs::path(testing::TempDir()) / "hash_test";
};

TEST_F(HashTest, KnownVectorOfFips180) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(HashTest, DirectoryDigestSeesNamesAndContentButNoHiddenFiles) {
  write_file_atomically(folder_ / "a", "1");
  const std::string before = artifact_digest(folder_);
  EXPECT_EQ(before, sha256_hex(sha256_hex("1") + "  a\n"));
  write_file_atomically(folder_ / ".ignored", "x");
  EXPECT_EQ(artifact_digest(folder_), before);
  fs::rename(folder_ / "a", folder_ / "b");
  EXPECT_NE(artifact_digest(folder_), before);
}

TEST_F(HashTest, AFolderWithOneGgufHasThatFilesDigest) {
  write_file_atomically(folder_ / "model.gguf", "1");
  EXPECT_EQ(artifact_digest(folder_), sha256_hex("1"));
  write_file_atomically(folder_ / "config.json", "{}");
  EXPECT_NE(artifact_digest(folder_), sha256_hex("1"));
}

TEST_F(HashTest, SamplesTellApartSizesNamesHeadersAndPages) {
  constexpr std::size_t kSize = 4 << 20;
  std::string content(kSize, 'x');
  std::vector<std::string> seen;
  const auto see = [&](const std::string& name, const std::string& bytes) {
    write_file_atomically(folder_ / name, bytes);
    seen.push_back(sampled_digest(folder_));
    EXPECT_EQ(seen.back(), sampled_digest(folder_));
    EXPECT_NE(sampled_digest(folder_ / name), "");
    fs::remove(folder_ / name);
  };
  see("a", content);
  see("b", content);
  see("a", content + "x");
  see("a", "");
  content[5] = 'y';
  see("a", content);
  content[kSize / 64 * 63 + 7] = 'y';
  see("a", content);
  std::ranges::sort(seen);
  EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end());
}

TEST_F(HashTest, MappedFilesHaveTheDigestOfCopiedOnes) {
  std::string content(9 << 20, 'x');  // two windows and a part of one
  for (std::size_t i = 0; i < content.size(); i += 1000) content[i] = static_cast<char>(i / 1000);
  for (const std::string& part : {content + "tail", content.substr(0, 8 << 20), std::string()}) {
    write_file_atomically(folder_ / "a", part);
    EXPECT_EQ(artifact_digest(folder_ / "a", FileAccess::kMapped), sha256_hex(part)) << part.size();
    EXPECT_EQ(artifact_digest(folder_, FileAccess::kMapped), artifact_digest(folder_)) << part.size();
  }
  EXPECT_THROW(artifact_digest(folder_ / "missing", FileAccess::kMapped), InputError);
}

TEST_F(HashTest, AnEmptyDirectoryIsRefused) {
  EXPECT_THROW(artifact_digest(folder_), InputError);
}

TEST_F(HashTest, ALinkIsAsTheFileItLeadsTo) {  // the Hub's cache consists of them
  write_file_atomically(folder_ / "config.json", "1");
  write_file_atomically(folder_ / "weights", "2");
  const std::string before = artifact_digest(folder_);
  fs::create_directories(folder_ / ".blobs");
  fs::rename(folder_ / "weights", folder_ / ".blobs/abc");
  fs::create_symlink(".blobs/abc", folder_ / "weights");
  EXPECT_EQ(artifact_digest(folder_), before);
}

}  // namespace
}  // namespace stepdown
