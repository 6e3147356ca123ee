#include "operator/kube/client.h"

#include "fake_transport.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/kube/resources.h"
#include "operator/kube/watch.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;

TEST(Client, ListFollowsContinueTokensAndFillsTypes) {
  const auto transport = std::make_shared<FakeTransport>([](const HttpRequest& request) -> HttpResponse {
    const bool second = request.path.find("continue=next") != std::string::npos;
    const json page = {{"kind", "PodList"},
                       {"apiVersion", "v1"},
                       {"metadata", {{"resourceVersion", "7"}, {"continue", second ? "" : "next"}}},
                       {"items", {{{"metadata", {{"name", second ? "b" : "a"}}}}}}};
    return {200, std::nullopt, page.dump()};
  });
  const Client client(transport);
  std::vector<std::string> names;
  const auto version = client.list(resources::kPods, {}, [&](json&& pod) {
    EXPECT_EQ(pod["kind"], "Pod");
    EXPECT_EQ(pod["apiVersion"], "v1");
    names.push_back(key_of(pod).name);
  });
  ASSERT_TRUE(version);
  EXPECT_EQ(*version, "7");
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(transport->requests().size(), 2U);
}

TEST(Client, RefusalsAreValuesAndBrokenAnswersExceptions) {
  const Client missing(std::make_shared<FakeTransport>([](const HttpRequest&) {
    return HttpResponse{404, std::nullopt, R"({"kind":"Status","reason":"NotFound","message":"no pod"})"};
  }));
  const auto found = missing.get(resources::kPods, {"n", "p"});
  ASSERT_FALSE(found);
  EXPECT_TRUE(found.error().not_found());
  EXPECT_THROW(found.value(), ApiException);

  const Client garbage(std::make_shared<FakeTransport>([](const HttpRequest&) {
    return HttpResponse{200, std::nullopt, "<html>"};
  }));
  EXPECT_THROW((void)garbage.get(resources::kPods, {"n", "p"}), TransportError);
}

struct WatchCase {
  const char* name;
  std::string body;
  int events;
  std::string version;  ///< "410": expired; "throws"
};

TEST(Client, WatchEnds) {
  const std::string added = R"({"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"5"}}})";
  const std::string bookmark = R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}})";
  const std::string expired = R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})";
  for (const WatchCase& c : {WatchCase{"nothing", "", 0, "1"}, WatchCase{"event", added + "\n", 1, "5"},
                             WatchCase{"bookmark", added + "\n" + bookmark + "\n", 2, "9"},
                             WatchCase{"cut off", added + "\n" + bookmark.substr(0, 20), 1, "5"},
                             WatchCase{"expired", added + "\n" + expired + "\n", 1, "410"},
                             WatchCase{"garbage", "hello\n", 0, "throws"}}) {
    const Client client(std::make_shared<FakeTransport>([&](const HttpRequest&) {
      return HttpResponse{200, std::nullopt, c.body};
    }));
    WatchOptions options;
    options.resource_version = "1";
    int events = 0;
    const auto count = [&events](WatchEvent&&) {
      ++events;
      return true;
    };
    if (c.version == "throws") {
      EXPECT_THROW((void)client.watch(resources::kPods, options, count, {}), TransportError);
      continue;
    }
    const auto ended = client.watch(resources::kPods, options, count, {});
    EXPECT_EQ(events, c.events) << c.name;
    if (c.version == "410") {
      ASSERT_FALSE(ended) << c.name;
      EXPECT_TRUE(ended.error().expired());
    } else {
      ASSERT_TRUE(ended) << c.name;
      EXPECT_EQ(*ended, c.version) << c.name;
    }
  }
}

}  // namespace
}  // namespace stepdown::kube
