// Watches and the informer's copy.
#include "operator/kube/watch.h"

#include <mutex>

#include "fixture.h"

#include "operator/kube/informer.h"

namespace stepdown::kube::contract {
namespace {

class Watches : public Contract {
 protected:
  static WatchOptions from_now() {
    WatchOptions options;
    options.ns = ns_name();
    options.resource_version = client().list(resources::kConfigMaps, options, [](json&&) {}).value();
    options.timeout = std::chrono::seconds(10);
    return options;
  }
};

TEST_F(Watches, TellWhatHappensInOrder) {
  const WatchOptions options = from_now();
  ASSERT_TRUE(client().create(resources::kConfigMaps, config_map("a")));
  ASSERT_TRUE(client().patch_merge(resources::kConfigMaps, {ns_name(), "a"}, {{"data", {{"k", "v"}}}}));
  ASSERT_TRUE(client().remove(resources::kConfigMaps, {ns_name(), "a"}));
  std::vector<WatchEventType> types;
  const auto ended = client().watch(resources::kConfigMaps, options,
                                    [&](WatchEvent&& event) {
                                      if (event.type != WatchEventType::kBookmark)
                                        types.push_back(event.type);
                                      return types.size() < 3;
                                    },
                                    {});
  ASSERT_TRUE(ended) << ended.error().text();
  EXPECT_EQ(types,
            (std::vector{WatchEventType::kAdded, WatchEventType::kModified, WatchEventType::kDeleted}));
}

TEST_F(Watches, SelectorsTurnChangesIntoAddsAndDeletes) {
  WatchOptions options = from_now();
  options.label_selector = "on=yes";
  ASSERT_TRUE(client().create(resources::kConfigMaps, config_map("a")));
  for (const json& labels : {json{{"on", "yes"}}, json{{"on", nullptr}}}) {
    ASSERT_TRUE(
        client().patch_merge(resources::kConfigMaps, {ns_name(), "a"}, {{"metadata", {{"labels", labels}}}}));
  }
  std::vector<WatchEventType> types;
  ASSERT_TRUE(client().watch(resources::kConfigMaps, options,
                             [&](WatchEvent&& event) {
                               if (event.type != WatchEventType::kBookmark) types.push_back(event.type);
                               return types.size() < 2;
                             },
                             {}));
  EXPECT_EQ(types, (std::vector{WatchEventType::kAdded, WatchEventType::kDeleted}));
}

TEST_F(Watches, EndByStopAndByTimeout) {
  WatchOptions options = from_now();
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop.request_stop();
  });
  auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(client().watch(
      resources::kConfigMaps, options, [](WatchEvent&&) { return true; }, stop.get_token()));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(3));

  options.timeout = std::chrono::seconds(1);
  began = std::chrono::steady_clock::now();
  EXPECT_TRUE(client().watch(resources::kConfigMaps, options, [](WatchEvent&&) { return true; }, {}));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
}

TEST_F(Watches, FromAnAncientVersionAreExpired) {
  WatchOptions options = from_now();
  options.resource_version = "1";
  const auto ended = client().watch(resources::kConfigMaps, options, [](WatchEvent&&) { return true; }, {});
  ASSERT_FALSE(ended);
  EXPECT_TRUE(ended.error().expired()) << ended.error().text();
}

TEST_F(Watches, AnInformerFollowsTheServer) {
  ASSERT_TRUE(client().create(resources::kConfigMaps, config_map("before", {{"k", "1"}})));
  Informer::Options options;
  options.list.ns = ns_name();
  options.list.limit = 2;
  options.trim = [](json& object) {
    json kept = {{"metadata",
                  {{"name", object["metadata"]["name"]},
                   {"namespace", object["metadata"]["namespace"]},
                   {"resourceVersion", object["metadata"]["resourceVersion"]}}}};
    if (object.contains("data")) kept["data"] = object["data"];
    object = std::move(kept);
  };
  Informer informer(client(), resources::kConfigMaps, options);
  std::mutex mutex;
  std::vector<std::string> changes;
  informer.on_change([&](const Informer::Change& change) {
    const std::lock_guard lock(mutex);
    changes.push_back((change.initial ? "initial " : "") +
                      std::string(!change.after   ? "gone "
                                  : change.before ? "changed "
                                                  : "new ") +
                      change.key.name);
  });
  informer.start();
  ASSERT_TRUE(informer.wait_synced(std::chrono::seconds(10)));
  const ObjectPtr before = informer.get({ns_name(), "before"});
  ASSERT_TRUE(before);
  EXPECT_EQ((*before)["data"]["k"], "1");
  EXPECT_FALSE((*before)["metadata"].contains("uid")) << "trimmed";

  ASSERT_TRUE(client().create(resources::kConfigMaps, config_map("a")));
  EXPECT_TRUE(eventually([&] { return informer.get({ns_name(), "a"}) != nullptr; }));
  ASSERT_TRUE(client().patch_merge(resources::kConfigMaps, {ns_name(), "a"}, {{"data", {{"k", "2"}}}}));
  EXPECT_TRUE(eventually([&] { return text_at(*informer.get({ns_name(), "a"}), "/data/k") == "2"; }));
  ASSERT_TRUE(client().remove(resources::kConfigMaps, {ns_name(), "a"}));
  EXPECT_TRUE(eventually([&] { return informer.get({ns_name(), "a"}) == nullptr; }));
  informer.stop();
  EXPECT_EQ(informer.trouble(), "");
  const std::lock_guard lock(mutex);
  EXPECT_EQ(changes, (std::vector<std::string>{"initial new before", "new a", "changed a", "gone a"}));
}

}  // namespace
}  // namespace stepdown::kube::contract
