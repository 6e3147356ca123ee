#include "operator/local/api/router.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "operator/local/api/garbage_collector.h"

namespace stepdown::local::api {
namespace {

/// The whole server but for the network.
class RouterTest : public testing::Test {
 protected:
  RouterTest()
      : folder_(make()),
        cluster_(folder_ / "objects.db", 1000),
        tokens_("key"),
        router_(cluster_, tokens_, folder_ / "pods") {
    bootstrap(cluster_);
  }
  ~RouterTest() override { std::filesystem::remove_all(folder_); }

  Response send(const std::string& method, const std::string& path, const Json& body = nullptr,
                const std::string& type = "application/json", const std::string& user = "admin") {
    Request request;
    request.method = method;
    const std::size_t mark = path.find('?');
    request.path = path.substr(0, mark);
    for (std::string rest = mark == std::string::npos ? "" : path.substr(mark + 1); !rest.empty();) {
      const std::size_t end = rest.find('&');
      const std::string pair = rest.substr(0, end);
      const std::size_t equal = pair.find('=');
      request.query.emplace(pair.substr(0, equal), equal == std::string::npos ? "" : pair.substr(equal + 1));
      rest = end == std::string::npos ? "" : rest.substr(end + 1);
    }
    request.content_type = type;
    request.user_agent = "test/1";
    if (!body.is_null()) request.body = body.dump();
    request.impersonate = impersonate_;
    request.user = {
        user, user == "admin" ? std::vector<std::string>{"system:masters"} : std::vector<std::string>{}};
    return router_.handle(request);
  }

  Json read(const std::string& path) { return Json::parse(send("GET", path).body); }

  Json apply(const std::string& path, const std::string& manager, const Json& body, int want = 200) {
    Response response =
        send("PATCH", path + "?fieldManager=" + manager, body, "application/apply-patch+yaml");
    EXPECT_EQ(response.code, want) << response.body;
    return Json::parse(response.body);
  }

  static Json config_map(const std::string& name, const Json& data) {
    return {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}}}, {"data", data}};
  }

  static std::filesystem::path make() {
    const auto folder = std::filesystem::temp_directory_path() / ("router_test_" + std::to_string(getpid()));
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    return folder;
  }

  std::filesystem::path folder_;
  User impersonate_;
  Cluster cluster_;
  Tokens tokens_;
  Router router_;
};

const std::string kMaps = "/api/v1/namespaces/default/configmaps";

TEST_F(RouterTest, AnUnchangedWriteKeepsTheRevision) {
  apply(kMaps + "/c", "one", config_map("c", {{"k", "v"}}), 201);
  const Json first = read(kMaps + "/c");
  EXPECT_EQ(apply(kMaps + "/c", "one", config_map("c", {{"k", "v"}}))["metadata"]["resourceVersion"],
            first["metadata"]["resourceVersion"]);
  EXPECT_EQ(send("PUT", kMaps + "/c", first).code, 200);
  EXPECT_EQ(read(kMaps + "/c")["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
}

TEST_F(RouterTest, AppliersShareAndConflict) {
  apply(kMaps + "/c", "one", config_map("c", {{"a", "1"}, {"b", "1"}}), 201);
  apply(kMaps + "/c", "two", config_map("c", {{"c", "1"}}));
  const Json refused = apply(kMaps + "/c", "two", config_map("c", {{"a", "2"}}), 409);
  EXPECT_EQ(refused["message"], "Apply failed with 1 conflict: conflict with \"one\": .data.a");
  apply(kMaps + "/c", "one", config_map("c", {{"a", "1"}}));
  EXPECT_EQ(read(kMaps + "/c")["data"], (Json{{"a", "1"}, {"c", "1"}}));
}

TEST_F(RouterTest, BodiesOfAnyShapeAreAnsweredWithAStatus) {
  for (const Json& body :
       {Json(1), Json("x"), Json::array(), Json{{"kind", 1}},
        Json{{"kind", "ConfigMap"}, {"apiVersion", "v1"}, {"metadata", 7}},
        Json{{"kind", "ConfigMap"}, {"apiVersion", "v1"}, {"metadata", {{"labels", {1}}, {"name", "n"}}}},
        Json{{"kind", "ConfigMap"}, {"apiVersion", "v1"}, {"metadata", {{"name", "n"}, {"finalizers", 1}}}},
        Json{{"kind", "ConfigMap"},
             {"apiVersion", "v1"},
             {"metadata", {{"name", "n"}}},
             {"data", {{"k", 1}}}}}) {
    const Response response = send("POST", kMaps, body);
    EXPECT_EQ(response.code, 400) << body;
    EXPECT_EQ(Json::parse(response.body)["kind"], "Status") << body;
  }
  std::string deep(5000, '[');
  Request request;
  request.method = "POST";
  request.path = kMaps;
  request.content_type = "application/json";
  request.user = {"admin", {"system:masters"}};
  request.body = deep;
  EXPECT_EQ(router_.handle(request).code, 400);
}

TEST_F(RouterTest, RolesAreEnforced) {
  const std::string account = "system:serviceaccount:default:bot";
  EXPECT_EQ(send("GET", kMaps, nullptr, "", account).code, 403);
  const std::string rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/";
  ASSERT_EQ(
      send(
          "POST", rbac + "roles",
          {{"apiVersion", "rbac.authorization.k8s.io/v1"},
           {"kind", "Role"},
           {"metadata", {{"name", "r"}}},
           {"rules",
            Json::array({{{"apiGroups", {""}}, {"resources", {"configmaps"}}, {"verbs", {"get", "list"}}}})}})
          .code,
      201);
  ASSERT_EQ(send("POST", rbac + "rolebindings",
                 {{"apiVersion", "rbac.authorization.k8s.io/v1"},
                  {"kind", "RoleBinding"},
                  {"metadata", {{"name", "b"}}},
                  {"roleRef", {{"kind", "Role"}, {"name", "r"}, {"apiGroup", "rbac.authorization.k8s.io"}}},
                  {"subjects",
                   Json::array({{{"kind", "ServiceAccount"}, {"name", "bot"}, {"namespace", "default"}}})}})
                .code,
            201);
  EXPECT_EQ(send("GET", kMaps, nullptr, "", account).code, 200);
  EXPECT_EQ(send("POST", kMaps, config_map("c", Json::object()), "application/json", account).code, 403);
  EXPECT_EQ(send("GET", "/api/v1/namespaces/kube-system/configmaps", nullptr, "", account).code, 403);
}

TEST_F(RouterTest, TokensNameTheirAccount) {
  const Response response =
      send("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", Json::object());
  ASSERT_EQ(response.code, 201) << response.body;
  const std::string token = Json::parse(response.body)["status"]["token"];
  const auto account = tokens_.verify(token);
  ASSERT_TRUE(account);
  EXPECT_EQ(account->name, "default");
  EXPECT_FALSE(tokens_.verify(token.substr(0, token.size() - 2) + "xx"));
  EXPECT_FALSE(Tokens("other key").verify(token));
}

TEST_F(RouterTest, DependentsFollowTheirOwner) {
  const Response owner = send("POST", kMaps, config_map("owner", Json::object()));
  Json child = config_map("child", Json::object());
  child["metadata"]["ownerReferences"] = Json::array({{{"apiVersion", "v1"},
                                                       {"kind", "ConfigMap"},
                                                       {"name", "owner"},
                                                       {"uid", Json::parse(owner.body)["metadata"]["uid"]}}});
  ASSERT_EQ(send("POST", kMaps, child).code, 201);
  GarbageCollector collector(cluster_);
  ASSERT_EQ(send("DELETE", kMaps + "/owner").code, 200);
  for (int i = 0; i < 200 && send("GET", kMaps + "/child").code == 200; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(send("GET", kMaps + "/child").code, 404);
}

TEST_F(RouterTest, AWatchToldOfASelectorSeesObjectsEnterAndLeave) {
  const Response watch = send("GET", kMaps + "?watch=true&labelSelector=a=b");
  ASSERT_TRUE(watch.stream);
  Json object = config_map("c", Json::object());
  send("POST", kMaps, object);
  const auto labels = [&](const Json& value) {
    send("PATCH", kMaps + "/c", {{"metadata", {{"labels", value}}}}, "application/merge-patch+json");
  };
  labels({{"a", "b"}});
  labels({{"a", "c"}});
  std::string told;
  for (int i = 0; i < 3 && told.find("DELETED") == std::string::npos; ++i)
    told += watch.stream->next().value_or("");
  EXPECT_LT(told.find("\"ADDED\""), told.find("\"DELETED\"")) << told;
  EXPECT_EQ(told.find("\"MODIFIED\""), std::string::npos);
}

TEST_F(RouterTest, ImpersonationCountsAndNeedsTheRight) {
  const Json review = {{"spec", {{"resourceAttributes", {{"verb", "delete"}, {"resource", "pods"}}}}}};
  const std::string can_i = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
  EXPECT_EQ(Json::parse(send("POST", can_i, review).body)["status"]["allowed"], true);
  impersonate_ = {"nobody", {}};
  EXPECT_EQ(Json::parse(send("POST", can_i, review).body)["status"]["allowed"], false);
  EXPECT_EQ(send("GET", kMaps).code, 403);
  const Json refused =
      Json::parse(send("GET", kMaps, nullptr, "application/json", "system:serviceaccount:default:x").body);
  EXPECT_EQ(
      refused["message"],
      "users \"nobody\" is forbidden: User \"system:serviceaccount:default:x\" cannot impersonate resource "
      "\"users\" in API group \"\" at the cluster scope");
  impersonate_ = {"nobody", {"system:masters"}};
  EXPECT_EQ(send("GET", kMaps).code, 200);
  impersonate_ = {"", {"system:masters"}};
  EXPECT_EQ(send("GET", kMaps).code, 400);
}

TEST_F(RouterTest, WhoAmIAndWhatMayIDo) {
  impersonate_ = {"system:serviceaccount:default:x", {}};
  const Json self =
      Json::parse(send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", Json::object())
                      .body)["status"]["userInfo"];
  EXPECT_EQ(self["username"], "system:serviceaccount:default:x");
  EXPECT_EQ(self["groups"],
            (Json{"system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"}));
  impersonate_ = {};
  const Json rules = Json::parse(send("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
                                      {{"spec", {{"namespace", "default"}}}})
                                     .body)["status"];
  EXPECT_EQ(rules["resourceRules"][0]["verbs"], Json::array({"*"}));
  EXPECT_EQ(rules["incomplete"], false);
}

TEST_F(RouterTest, AMethodThatAResourceLacksIsNamedAsSuch) {
  for (const char* method : {"PUT", "PATCH"}) {
    EXPECT_EQ(send(method, kMaps, config_map("c", Json::object()), "application/merge-patch+json").code, 405)
        << method;
  }
  EXPECT_EQ(send("POST", kMaps + "/c", config_map("c", Json::object())).code, 405);
}

TEST_F(RouterTest, SessionsIntoContainersAreRefusedWithAnotherWay) {
  for (const char* sub : {"exec", "attach", "portforward"}) {
    const Response refused = send("POST", "/api/v1/namespaces/default/pods/p/" + std::string(sub));
    EXPECT_EQ(refused.code, 501) << sub;
    EXPECT_NE(refused.body.find("does not support " + std::string(sub)), std::string::npos) << refused.body;
  }
}

TEST_F(RouterTest, ReadinessTellsItsChecksWhenAsked) {
  EXPECT_EQ(send("GET", "/readyz").body, "ok");
  EXPECT_EQ(send("GET", "/readyz?verbose").body, "[+]ping ok\n[+]store ok\nreadyz check passed\n");
}

TEST_F(RouterTest, ErrorsKeepTheLibrarysMarksToThemselves) {
  const Json odd = {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", 7}}}};
  const Response refused = send("POST", kMaps, odd);
  EXPECT_GE(refused.code, 400);
  EXPECT_EQ(refused.body.find("json.exception"), std::string::npos) << refused.body;
  const Response patch = send("PATCH", kMaps + "/x?fieldManager=a", Json(3), "application/apply-patch+yaml");
  EXPECT_GE(patch.code, 400);
  EXPECT_EQ(patch.body.find("json.exception"), std::string::npos) << patch.body;
}

TEST_F(RouterTest, TheUidIsImmutable) {
  send("POST", kMaps, config_map("c", Json::object()));
  const Response refused =
      send("PATCH", kMaps + "/c", {{"metadata", {{"uid", "x"}}}}, "application/merge-patch+json");
  EXPECT_EQ(refused.code, 422);
  EXPECT_NE(refused.body.find("field is immutable"), std::string::npos) << refused.body;
}

TEST_F(RouterTest, ServerSideApplyByKubectlKeepsLastAppliedTrue) {
  Json object = config_map("c", {{"k", "old"}});
  object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = "stale";
  send("POST", kMaps, object);
  apply(kMaps + "/c", "kubectl", config_map("c", {{"j", "new"}}));
  const Json annotations = read(kMaps + "/c")["metadata"]["annotations"];
  EXPECT_EQ(
      Json::parse(annotations["kubectl.kubernetes.io/last-applied-configuration"].get<std::string>())["data"],
      (Json{{"j", "new"}}));
  apply(kMaps + "/c", "other", config_map("c", {{"i", "1"}}));
  EXPECT_EQ(read(kMaps + "/c")["metadata"]["annotations"], annotations);
}

TEST_F(RouterTest, LimitsBecomeRequestsInPodsNotInTemplates) {
  const Json pod_spec = {
      {"containers", {{{"name", "c"}, {"image", "i"}, {"resources", {{"limits", {{"cpu", "1"}}}}}}}}};
  const Json deployment = {{"apiVersion", "apps/v1"},
                           {"kind", "Deployment"},
                           {"metadata", {{"name", "d"}}},
                           {"spec",
                            {{"selector", {{"matchLabels", {{"a", "b"}}}}},
                             {"template", {{"metadata", {{"labels", {{"a", "b"}}}}}, {"spec", pod_spec}}}}}};
  const Json pod = {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", "p"}}}, {"spec", pod_spec}};
  send("POST", "/apis/apps/v1/namespaces/default/deployments", deployment);
  send("POST", "/api/v1/namespaces/default/pods", pod);
  const Json of_template = read("/apis/apps/v1/namespaces/default/deployments/d")["spec"]["template"]["spec"];
  EXPECT_FALSE(of_template["containers"][0]["resources"].contains("requests"));
  const Json of_pod = read("/api/v1/namespaces/default/pods/p")["spec"];
  EXPECT_EQ(of_pod["containers"][0]["resources"]["requests"], (Json{{"cpu", "1"}}));
}

TEST_F(RouterTest, APatchThatCopiesItselfIsRefusedBeforeItFillsTheMemory) {
  apply(kMaps + "/c", "one", config_map("c", {{"k", std::string(1000, 'x')}}), 201);
  Json doubling = Json::array();
  for (int i = 0; i < 40; ++i)
    doubling.push_back({{"op", "copy"}, {"from", "/data"}, {"path", "/data/" + std::to_string(i)}});
  const Response response = send("PATCH", kMaps + "/c", doubling, "application/json-patch+json");
  EXPECT_EQ(response.code, 422) << response.body.substr(0, 200);
  const Json fair = {{{"op", "copy"}, {"from", "/data/k"}, {"path", "/data/l"}},
                     {{"op", "remove"}, {"path", "/data/k"}}};
  EXPECT_EQ(send("PATCH", kMaps + "/c", fair, "application/json-patch+json").code, 200);
  EXPECT_EQ(read(kMaps + "/c")["data"], (Json{{"l", std::string(1000, 'x')}}));
  const Json nowhere = {{{"op", "copy"}, {"from", "/data/none"}, {"path", "/data/l"}}};
  EXPECT_EQ(send("PATCH", kMaps + "/c", nowhere, "application/json-patch+json").code, 422);
  EXPECT_EQ(send("PATCH", kMaps + "/c", Json::array_t(10'001), "application/json-patch+json").code, 413);
}

}  // namespace
}  // namespace stepdown::local::api
