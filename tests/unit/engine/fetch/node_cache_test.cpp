#include "engine/fetch/node_cache.h"

#include <chrono>
#include <fstream>
#include <memory>
#include <thread>

#include "tests/unit/engine/formats/temp_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"

namespace stepdown::fetch {
namespace {

namespace fs = std::filesystem;
using formats::TempFolder;
using std::chrono::hours;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kSize = 100'000;

class NodeCache : public testing::Test {
 protected:
  /// A model of kSize bytes, all of them `fill`.
  NodeCacheRequest model(char fill) {
    const fs::path path = folder_.path() / (std::string("model-") + fill);
    write_file_atomically(path, std::string(kSize, fill));
    return {cache_, path, "sha256:" + artifact_digest(path), 250'000};
  }
  fs::path folder_of(const NodeCacheRequest& request) const { return cache_ / request.digest.substr(7); }
  /// Copies it and lets its last use be so long ago.
  NodeCacheRequest used(char fill, hours ago) {
    NodeCacheRequest request = model(fill);
    EXPECT_FALSE(copy_to_node(request).copy.empty());
    fs::last_write_time(folder_of(request), fs::file_time_type::clock::now() - ago);
    return request;
  }

  TempFolder folder_;
  fs::path cache_ = folder_.path() / "cache";
};

ino_t inode(const fs::path& path) {
  struct stat facts {};
  EXPECT_EQ(::stat(path.c_str(), &facts), 0);
  return facts.st_ino;
}

TEST_F(NodeCache, CopiesOnceAndChecksAtEachStart) {
  const NodeCacheRequest request = model('a');
  const NodeCacheResult first = copy_to_node(request);
  EXPECT_FALSE(first.was_there);
  EXPECT_EQ(read_file(first.copy), std::string(kSize, 'a'));
  const ino_t before = inode(first.copy);

  const NodeCacheResult second = copy_to_node(request);
  EXPECT_TRUE(second.was_there);
  EXPECT_EQ(inode(second.copy), before);

  fs::permissions(first.copy, fs::perms::owner_write, fs::perm_options::add);
  std::fstream(first.copy, std::ios::in | std::ios::out).put('b');
  const NodeCacheResult third = copy_to_node(request);
  EXPECT_FALSE(third.was_there);
  EXPECT_EQ(read_file(third.copy), std::string(kSize, 'a'));
}

TEST_F(NodeCache, FoldersWithoutWhatTheDigestIsNotOf) {
  const fs::path model = folder_.path() / "checkpoint";
  fs::create_directories(model / "deep");
  write_file_atomically(model / "config.json", "{}");
  write_file_atomically(model / "deep/part.safetensors", "weights");
  write_file_atomically(model / ".hidden", "no");
  fs::create_symlink(model / "config.json", model / "linked.json");
  const NodeCacheResult result = copy_to_node({cache_, model, "sha256:" + artifact_digest(model), 1'000});
  EXPECT_THAT(pinned_files(result.copy), ElementsAre("config.json", "deep/part.safetensors", "linked.json"));
  EXPECT_FALSE(fs::is_symlink(result.copy / "linked.json"));
  EXPECT_FALSE(fs::exists(result.copy / ".hidden"));
  EXPECT_EQ(artifact_digest(result.copy), artifact_digest(model));
}

TEST_F(NodeCache, AnotherModelIsRefusedAndNothingStays) {
  NodeCacheRequest request = model('a');
  request.digest = model('b').digest;
  EXPECT_THROW(copy_to_node(request), InputError);
  for (const auto& entry : fs::directory_iterator(cache_)) EXPECT_EQ(entry.path().filename(), ".locks");
  request.model = folder_.path() / "nothing";
  EXPECT_THROW(copy_to_node(request), InputError);
}

TEST_F(NodeCache, TheLeastRecentlyUsedMakesRoom) {
  const NodeCacheRequest older = used('a', hours(3)), newer = used('b', hours(2));
  const NodeCacheResult result = copy_to_node(model('c'));
  EXPECT_THAT(result.evicted, ElementsAre(older.digest));
  EXPECT_FALSE(fs::exists(folder_of(older)));
  EXPECT_TRUE(fs::exists(folder_of(newer)));
  // A start counts as a use.
  EXPECT_TRUE(copy_to_node(newer).was_there);
  EXPECT_LT(fs::file_time_type::clock::now() - fs::last_write_time(folder_of(newer)), hours(1));
}

TEST_F(NodeCache, WhatAServerHoldsOrIsAboutToStays) {
  const NodeCacheRequest held = used('a', hours(3)), starting = used('b', hours(0));
  auto hold = std::make_unique<NodeCacheHold>(cache_, held.digest);
  const NodeCacheResult full = copy_to_node(model('c'));
  EXPECT_TRUE(full.copy.empty());
  EXPECT_THAT(full.why_not, HasSubstr("copies in use take"));
  EXPECT_TRUE(fs::exists(folder_of(held)) && fs::exists(folder_of(starting)));

  hold.reset();  // its end is its last use
  EXPECT_LT(fs::file_time_type::clock::now() - fs::last_write_time(folder_of(held)), hours(1));
  fs::last_write_time(folder_of(held), fs::file_time_type::clock::now() - hours(1));
  EXPECT_THAT(copy_to_node(model('c')).evicted, ElementsAre(held.digest));
}

TEST_F(NodeCache, ACacheThatIsTooSmallOrBrokenIsDoneWithout) {
  NodeCacheRequest request = model('a');
  request.limit = kSize - 1;
  EXPECT_THAT(copy_to_node(request).why_not, HasSubstr("more than the cache may hold"));
  request = model('a');
  request.cache = request.model / "below-a-file";
  const NodeCacheResult broken = copy_to_node(request);
  EXPECT_TRUE(broken.copy.empty());
  EXPECT_FALSE(broken.why_not.empty());
}

TEST_F(NodeCache, PodsThatStartTogetherMakeOneCopy) {
  const NodeCacheRequest request = model('a');
  std::vector<NodeCacheResult> results(6);
  {
    std::vector<std::jthread> pods;
    for (NodeCacheResult& result : results) pods.emplace_back([&] { result = copy_to_node(request); });
  }
  EXPECT_EQ(std::ranges::count(results, false, &NodeCacheResult::was_there), 1);
  for (const NodeCacheResult& result : results) EXPECT_EQ(result.copy, folder_of(request) / "model");
}

}  // namespace
}  // namespace stepdown::fetch
