#include "operator/kube/object_cache.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/kube/object_packer.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;

json object(const std::string& name, const std::string& version, const std::string& team = "a") {
  return {{"metadata",
           {{"name", name}, {"namespace", "ns"}, {"resourceVersion", version}, {"labels", {{"team", team}}}}},
          {"spec", {{"image", "docker.io/stepdown/engine:0.1.0"}, {"args", {"serve", "--model", name}}}}};
}

ObjectCache by_team() {
  return ObjectCache([](const json& each) { return std::vector{label_of(each, "team")}; });
}

std::vector<std::string> names(const std::vector<ObjectPtr>& objects) {
  std::vector<std::string> out;
  for (const ObjectPtr& each : objects) out.push_back(key_of(*each).name);
  std::sort(out.begin(), out.end());
  return out;
}

TEST(ObjectPacker, GivesBackWhatItPacked) {
  ObjectPacker packer;
  json large = object("large", "3");
  for (int i = 0; i < 5000; ++i) large["status"][std::to_string(i * 7919)] = i;
  for (const json& each : {object("x", "1"), json(nullptr), large, json("\u00fc\u20ac"), object("y", "2")}) {
    EXPECT_EQ(packer.unpack(packer.pack(each)), each);
  }
}

TEST(ObjectPacker, MakesLikeObjectsSmall) {
  ObjectPacker packer;
  const json first = object("model-1", "1"), second = object("model-2", "2");
  (void)packer.pack(first);
  EXPECT_LT(packer.pack(second).size(), second.dump().size() / 4);
}

TEST(ObjectCache, TellsWhatChanged) {
  ObjectCache cache = by_team();
  const auto added = cache.put(object("x", "1"));
  EXPECT_EQ(added.key, (ObjectKey{"ns", "x"}));
  EXPECT_FALSE(added.before);
  const auto changed = cache.put(object("x", "2", "b"));
  EXPECT_EQ(*changed.before, object("x", "1"));
  EXPECT_EQ(*changed.after, object("x", "2", "b"));
  EXPECT_EQ(*cache.get({"ns", "x"}), object("x", "2", "b"));
  EXPECT_EQ(*cache.erase({"ns", "x"}).before, object("x", "2", "b"));
  EXPECT_FALSE(cache.erase({"ns", "x"}).before);
  EXPECT_FALSE(cache.get({"ns", "x"}));
}

TEST(ObjectCache, FindsByWordAndForgetsOldWords) {
  ObjectCache cache = by_team();
  for (const char* name : {"x", "y", "z"}) cache.put(object(name, "1"));
  cache.put(object("y", "2", "b"));
  cache.erase({"ns", "z"});
  EXPECT_EQ(names(cache.indexed("a")), std::vector<std::string>{"x"});
  EXPECT_EQ(names(cache.indexed("b")), std::vector<std::string>{"y"});
  EXPECT_TRUE(cache.indexed("c").empty());
}

TEST(ObjectCache, SweepsWhatAListDidNotName) {
  ObjectCache cache = by_team();
  for (const char* name : {"x", "y", "z"}) cache.put(object(name, "1"));
  cache.mark();
  EXPECT_TRUE(cache.seen({"ns", "x"}, "1"));
  EXPECT_FALSE(cache.seen({"ns", "y"}, "2"));
  cache.put(object("y", "2"));
  const auto gone = cache.sweep();
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].key.name, "z");
  EXPECT_EQ(names(cache.indexed("a")), (std::vector<std::string>{"x", "y"}));
}

}  // namespace
}  // namespace stepdown::kube
