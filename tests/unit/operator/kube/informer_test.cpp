#include "operator/kube/informer.h"

#include <atomic>
#include <condition_variable>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/kube/resources.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

/// A server whose lists and watches the test scripts; watches without a script stay open until they are
/// stopped.
class ScriptedServer final : public Transport {
 public:
  HttpResponse send(const HttpRequest&) override {
    ++lists;
    const std::lock_guard lock(mutex);
    if (fail_lists > 0) {
      --fail_lists;
      return {503, std::nullopt, "{}"};
    }
    return {200, std::nullopt, list.dump()};
  }

  HttpResponse stream(const HttpRequest& request, milliseconds,
                      const std::function<bool(std::string_view)>& on_chunk, std::stop_token stop) override {
    std::unique_lock lock(mutex);
    watch_paths.push_back(request.path);
    changed.wait(lock, stop, [this] { return !watches.empty(); });
    if (stop.stop_requested()) return {200, std::nullopt, ""};
    HttpResponse response = watches.front();
    watches.erase(watches.begin());
    lock.unlock();
    if (response.status == 200) on_chunk(response.body);
    return response;
  }

  void play(HttpResponse watch) {
    {
      const std::lock_guard lock(mutex);
      watches.push_back(std::move(watch));
    }
    changed.notify_all();
  }
  void set_list(const std::string& version, const std::vector<std::pair<std::string, std::string>>& items) {
    const std::lock_guard lock(mutex);
    list = {{"kind", "PodList"},
            {"apiVersion", "v1"},
            {"metadata", {{"resourceVersion", version}}},
            {"items", json::array()}};
    for (const auto& [name, item_version] : items) list["items"].push_back(item(name, item_version));
  }
  static json item(const std::string& name, const std::string& version) {
    return {{"metadata",
             {{"name", name}, {"namespace", "n"}, {"resourceVersion", version}, {"managedFields", "long"}}}};
  }
  static std::string event(const char* type, const std::string& name, const std::string& version) {
    return json{{"type", type}, {"object", item(name, version)}}.dump() + "\n";
  }

  std::mutex mutex;
  std::condition_variable_any changed;
  json list;
  std::atomic<int> lists = 0;
  int fail_lists = 0;
  std::vector<HttpResponse> watches;
  std::vector<std::string> watch_paths;
};

class InformerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    informer_.on_change([this](const Informer::Change& change) {
      const std::lock_guard lock(mutex_);
      changes_.push_back(std::string(change.initial ? "*" : "") +
                         (!change.after   ? "-"
                          : change.known  ? "="
                          : change.before ? "~"
                                          : "+") +
                         change.key.name);
    });
  }
  std::vector<std::string> changes() {
    const std::lock_guard lock(mutex_);
    return changes_;
  }
  template <class Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(milliseconds(2));
    return condition();
  }

  std::shared_ptr<ScriptedServer> server_ = std::make_shared<ScriptedServer>();
  std::mutex mutex_;
  std::vector<std::string> changes_;
  Informer informer_{Client(server_), resources::kPods, {}};
};

TEST_F(InformerTest, ListsThenWatchesFromTheListsVersion) {
  server_->set_list("7", {{"a", "1"}, {"b", "2"}});
  informer_.start();
  ASSERT_TRUE(informer_.wait_synced(milliseconds(4000)));
  EXPECT_EQ(informer_.list().size(), 2U);
  EXPECT_FALSE((*informer_.get({"n", "a"}))["metadata"].contains("managedFields"));
  server_->play({200, std::nullopt,
                 ScriptedServer::event("ADDED", "c", "8") + ScriptedServer::event("DELETED", "a", "9")});
  EXPECT_TRUE(eventually([&] { return changes().size() == 4; }));
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(server_->mutex);
    return server_->watch_paths.size() >= 2;
  }));
  informer_.stop();
  EXPECT_NE(server_->watch_paths.at(0).find("resourceVersion=7&"), std::string::npos);
  EXPECT_NE(server_->watch_paths.at(1).find("resourceVersion=9&"), std::string::npos);
  EXPECT_EQ(server_->lists, 1);
  EXPECT_EQ(informer_.get({"n", "a"}), nullptr);
}

TEST_F(InformerTest, An410ListsAnewAndTellsTheDifference) {
  server_->set_list("7", {{"a", "1"}, {"b", "2"}, {"c", "3"}});
  informer_.start();
  ASSERT_TRUE(informer_.wait_synced(milliseconds(4000)));
  const ObjectPtr unchanged = informer_.get({"n", "c"});
  server_->set_list("20", {{"b", "15"}, {"c", "3"}, {"d", "16"}});
  server_->play({200, std::nullopt,
                 R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})"
                 "\n"});
  ASSERT_TRUE(eventually([&] { return changes().size() == 6; }));
  informer_.stop();
  std::vector<std::string> difference = changes();
  difference.erase(difference.begin(), difference.begin() + 3);
  std::sort(difference.begin(), difference.end());
  EXPECT_EQ(difference, (std::vector<std::string>{"*+d", "*-a", "*~b"}));
  EXPECT_EQ(*informer_.get({"n", "c"}), *unchanged);
}

TEST_F(InformerTest, WhatAWriteAnsweredIsKnownAtOnceAndToldByTheWatch) {
  server_->set_list("7", {{"a", "1"}});
  informer_.start();
  ASSERT_TRUE(informer_.wait_synced(milliseconds(4000)));
  informer_.learn(ScriptedServer::item("made", "9"));
  ASSERT_NE(informer_.get({"n", "made"}), nullptr);
  EXPECT_FALSE((*informer_.get({"n", "made"}))["metadata"].contains("managedFields"));
  EXPECT_EQ(changes(), (std::vector<std::string>{"*+a"}));
  server_->play({200, std::nullopt, ScriptedServer::event("ADDED", "made", "9")});
  EXPECT_TRUE(eventually([&] { return changes() == std::vector<std::string>{"*+a", "=made"}; }));
}

TEST_F(InformerTest, OlderNewsDoNotTakeBackWhatWasLearned) {
  server_->set_list("7", {{"a", "1"}, {"b", "2"}});
  informer_.start();
  ASSERT_TRUE(informer_.wait_synced(milliseconds(4000)));
  EXPECT_TRUE(informer_.learn(ScriptedServer::item("a", "12")));
  EXPECT_TRUE(informer_.learn(ScriptedServer::item("b", "13")));
  EXPECT_FALSE(informer_.learn(ScriptedServer::item("b", "12")));
  EXPECT_FALSE(informer_.learn(ScriptedServer::item("b", "13"))) << "a write that changed nothing";
  server_->play({200, std::nullopt,
                 ScriptedServer::event("MODIFIED", "a", "10") + ScriptedServer::event("DELETED", "b", "11")});
  ASSERT_TRUE(eventually([&] { return changes().size() == 4; }));
  EXPECT_EQ(changes().at(2), "=a");
  EXPECT_EQ(changes().at(3), "=b");
  EXPECT_EQ(resource_version_of(*informer_.get({"n", "a"})), "12");
  EXPECT_EQ(resource_version_of(*informer_.get({"n", "b"})), "13");
  server_->play({200, std::nullopt, ScriptedServer::event("DELETED", "a", "14")});
  EXPECT_TRUE(eventually([&] { return informer_.get({"n", "a"}) == nullptr; }));
}

TEST_F(InformerTest, WhatIsGoneByNowIsNotLearned) {
  server_->set_list("7", {});
  informer_.learn(ScriptedServer::item("early", "9"));
  EXPECT_EQ(informer_.get({"n", "early"}), nullptr) << "the list may show that it is gone";
  informer_.start();
  ASSERT_TRUE(informer_.wait_synced(milliseconds(4000)));
  server_->play({200, std::nullopt,
                 ScriptedServer::event("ADDED", "c", "8") + ScriptedServer::event("DELETED", "c", "9")});
  ASSERT_TRUE(eventually([&] { return changes().size() == 2; }));
  informer_.learn(ScriptedServer::item("c", "8"));
  EXPECT_EQ(informer_.get({"n", "c"}), nullptr);
  informer_.learn(ScriptedServer::item("c", "10"));
  EXPECT_NE(informer_.get({"n", "c"}), nullptr);
}

TEST_F(InformerTest, VersionsThatAreNoNumbersTeachNothing) {
  server_->set_list("x7", {{"a", "x1"}});
  informer_.start();
  ASSERT_TRUE(informer_.wait_synced(milliseconds(4000)));
  informer_.learn(ScriptedServer::item("b", "x9"));
  EXPECT_EQ(informer_.get({"n", "b"}), nullptr);
  server_->play({200, std::nullopt, ScriptedServer::event("MODIFIED", "a", "x0")});
  EXPECT_TRUE(eventually([&] { return resource_version_of(*informer_.get({"n", "a"})) == "x0"; }));
}

TEST_F(InformerTest, FindsObjectsByTheWordsOfItsIndex) {
  Informer informer(Client(server_), resources::kPods,
                    {.index = [](const json& pod) -> std::vector<std::string> {
                      return {"all", "version " + resource_version_of(pod)};
                    }});
  server_->set_list("7", {{"a", "1"}, {"b", "2"}});
  informer.start();
  ASSERT_TRUE(informer.wait_synced(milliseconds(4000)));
  EXPECT_EQ(informer.indexed("all").size(), 2U);
  EXPECT_EQ(informer.indexed("version 1").size(), 1U);
  server_->play({200, std::nullopt,
                 ScriptedServer::event("MODIFIED", "a", "8") + ScriptedServer::event("DELETED", "b", "9")});
  EXPECT_TRUE(eventually([&] { return informer.indexed("version 8").size() == 1; }));
  EXPECT_TRUE(eventually([&] { return informer.indexed("all").size() == 1; }));
  EXPECT_TRUE(informer.indexed("version 1").empty());
  server_->set_list("20", {{"c", "15"}});
  server_->play({200, std::nullopt,
                 R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})"
                 "\n"});
  EXPECT_TRUE(eventually([&] { return informer.indexed("version 15").size() == 1; }));
  EXPECT_TRUE(informer.indexed("version 8").empty()) << "what a relist no longer shows";
}

TEST_F(InformerTest, KeepsWhatItKnowsWhileTheServerIsAway) {
  server_->set_list("7", {{"a", "1"}});
  server_->fail_lists = 1;
  informer_.start();
  EXPECT_TRUE(eventually([&] { return !informer_.trouble().empty(); }));
  EXPECT_FALSE(informer_.synced());
  ASSERT_TRUE(informer_.wait_synced(milliseconds(4000)));
  server_->play({503, std::nullopt, "{}"});
  EXPECT_TRUE(eventually([&] { return !informer_.trouble().empty(); }));
  EXPECT_NE(informer_.get({"n", "a"}), nullptr);
  EXPECT_EQ(server_->lists, 2) << "a broken watch is no reason to list";
}

}  // namespace
}  // namespace stepdown::kube
