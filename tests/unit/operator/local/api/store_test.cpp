#include "operator/local/api/store.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "operator/local/api/api_error.h"

namespace stepdown::local::api {
namespace {

class StoreTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file() const { return folder_ / "objects.db"; }

  static std::int64_t put(Store& store, const std::string& name, int value) {
    Json object = {{"metadata", {{"namespace", "ns"}, {"name", name}}}, {"value", value}};
    Store::Transaction transaction(store);
    transaction.put({"things", "ns", name}, object);
    transaction.commit();
    return std::stoll(object["metadata"]["resourceVersion"].get<std::string>());
  }

  static std::vector<std::string> names(const Page& page) {
    std::vector<std::string> out;
    for (const Json& object : page.objects)
      out.push_back(object["metadata"]["name"].get<std::string>() + "=" + object["value"].dump());
    return out;
  }

 private:
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("store_test_" + std::to_string(getpid()));
};

using Names = std::vector<std::string>;

TEST_F(StoreTest, RevisionsRiseAcrossRestarts) {
  std::int64_t first = 0;
  {
    Store store(file(), 100);
    first = put(store, "a", 1);
  }
  Store store(file(), 100);
  EXPECT_EQ(store.revision(), first);
  EXPECT_GT(put(store, "a", 2), first);
  EXPECT_EQ((*store.get({"things", "ns", "a"}))["value"], 2);
}

TEST_F(StoreTest, AnUncommittedTransactionLeavesNothing) {
  Store store(file(), 100);
  const std::int64_t before = store.revision();
  {
    Json object = {{"metadata", {{"name", "a"}}}};
    Store::Transaction transaction(store);
    transaction.put({"things", "ns", "a"}, object);
  }
  EXPECT_FALSE(store.get({"things", "ns", "a"}));
  EXPECT_EQ(store.revision(), before);
}

TEST_F(StoreTest, ASnapshotStaysWhatItWas) {
  Store store(file(), 100);
  put(store, "a", 1);
  put(store, "b", 1);
  const std::int64_t then = put(store, "c", 1);
  put(store, "b", 2);
  put(store, "aa", 1);
  {
    Json last = *store.get({"things", "ns", "c"});
    Store::Transaction transaction(store);
    transaction.remove({"things", "ns", "c"}, last);
    transaction.commit();
  }
  EXPECT_EQ(names(store.list({"things", "", {}, {}, {}, 0})), (Names{"a=1", "aa=1", "b=2"}));
  EXPECT_EQ(names(store.list({"things", "", then, {}, {}, 0})), (Names{"a=1", "b=1", "c=1"}));
  const Page first = store.list({"things", "ns", then, {}, {}, 2});
  EXPECT_EQ(names(first), (Names{"a=1", "b=1"}));
  EXPECT_TRUE(first.more);
  const Page second = store.list({"things", "ns", then, "ns", "b", 2});
  EXPECT_EQ(names(second), (Names{"c=1"}));
  EXPECT_FALSE(second.more);
}

TEST_F(StoreTest, ChangesComeInOrderWithWhatWasBefore) {
  Store store(file(), 100);
  const std::int64_t start = store.revision();
  put(store, "a", 1);
  put(store, "a", 2);
  std::int64_t seen = 0;
  const auto changes = store.changes("things", "", start, 10, std::chrono::milliseconds(0), seen);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].type, ChangeType::kAdded);
  EXPECT_TRUE(changes[0].previous.is_null());
  EXPECT_EQ(changes[1].type, ChangeType::kModified);
  EXPECT_EQ(changes[1].previous["value"], 1);
  EXPECT_EQ(seen, store.revision());
}

TEST_F(StoreTest, CompactedHistoryIsExpired) {
  Store store(file(), 10);
  const std::int64_t start = put(store, "a", 0);
  for (int i = 1; i <= 600; ++i) put(store, "a", i);
  std::int64_t seen = 0;
  try {
    store.changes("things", "", start, 10, std::chrono::milliseconds(0), seen);
    FAIL();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.code(), 410);
  }
  EXPECT_THROW(store.list({"things", "", start, {}, {}, 0}), ApiError);
}

}  // namespace
}  // namespace stepdown::local::api
