#include "operator/kube/request.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/kube/resources.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;

TEST(Request, Paths) {
  struct Case {
    GroupVersionResource gvr;
    ObjectKey key;
    std::string_view subresource;
    std::string_view path;
  };
  for (const Case& c : {
           Case{resources::kPods, {"n", "p"}, "", "/api/v1/namespaces/n/pods/p"},
           Case{resources::kPods, {"", ""}, "", "/api/v1/pods"},
           Case{resources::kPods, {"n", ""}, "", "/api/v1/namespaces/n/pods"},
           Case{resources::kNodes, {"", "node a"}, "", "/api/v1/nodes/node%20a"},
           Case{resources::kDeployments,
                {"n", "d"},
                "status",
                "/apis/apps/v1/namespaces/n/deployments/d/status"},
           Case{{"stepdown.dev", "v1alpha1", "quantizedmodels"},
                {"n", "../x"},
                "",
                "/apis/stepdown.dev/v1alpha1/namespaces/n/quantizedmodels/..%2Fx"},
       }) {
    EXPECT_EQ(request::path(c.gvr, c.key, c.subresource), c.path);
  }
}

TEST(Request, ListAndWatchCarryTheirSelection) {
  ListOptions list;
  list.ns = "n";
  list.label_selector = "app=x,tier in (a,b)";
  list.limit = 2;
  EXPECT_EQ(
      request::list(resources::kPods, list, "abc==").path,
      "/api/v1/namespaces/n/pods?labelSelector=app%3Dx%2Ctier%20in%20%28a%2Cb%29&limit=2&continue=abc%3D%3D");
  WatchOptions watch;
  watch.field_selector = "metadata.name=x";
  watch.resource_version = "42";
  EXPECT_EQ(
      request::watch(resources::kPods, watch).path,
      "/api/v1/pods?fieldSelector=metadata.name%3Dx&watch=true&allowWatchBookmarks=true&resourceVersion=42"
      "&timeoutSeconds=300");
}

TEST(Request, Writes) {
  const json object = {
      {"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"namespace", "n"}, {"name", "c"}}}};
  const HttpRequest create = request::create(resources::kConfigMaps, object);
  EXPECT_EQ(create.method + " " + create.path, "POST /api/v1/namespaces/n/configmaps");
  EXPECT_EQ(json::parse(create.body), object);
  EXPECT_EQ(request::create(resources::kConfigMaps, object, "me").path,
            "/api/v1/namespaces/n/configmaps?fieldManager=me");

  const HttpRequest apply = request::apply(resources::kConfigMaps, object, {"me too", true, true}, "");
  EXPECT_EQ(apply.method + " " + apply.path,
            "PATCH /api/v1/namespaces/n/configmaps/c?fieldManager=me%20too&force=true&dryRun=All");
  EXPECT_EQ(apply.content_type, "application/apply-patch+yaml");

  const HttpRequest merge =
      request::patch_merge(resources::kConfigMaps, {"n", "c"}, {{"data", nullptr}}, "status");
  EXPECT_EQ(merge.path, "/api/v1/namespaces/n/configmaps/c/status");
  EXPECT_EQ(merge.content_type, "application/merge-patch+json");

  DeleteOptions options;
  options.propagation = Propagation::kForeground;
  options.grace_period_seconds = 0;
  options.uid = "u";
  const HttpRequest remove = request::remove(resources::kConfigMaps, {"n", "c"}, options);
  EXPECT_EQ(json::parse(remove.body), json::parse(R"({"kind": "DeleteOptions", "apiVersion": "v1",
      "propagationPolicy": "Foreground", "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}})"));
}

TEST(Request, BrokenUtf8InAnObjectDoesNotThrow) {
  const json object = {{"metadata", {{"name", "x"}}}, {"data", {{"k", "\xff\xfe"}}}};
  EXPECT_NO_THROW(request::create(resources::kConfigMaps, object));
}

TEST(ParseError, StatusAndOtherBodies) {
  const ApiError conflict = request::parse_error(
      {409, std::nullopt, R"({"kind":"Status","reason":"Conflict","message":"changed","code":409})"});
  EXPECT_TRUE(conflict.conflict());
  EXPECT_EQ(conflict.text(), "409 Conflict: changed");

  const ApiError exists =
      request::parse_error({409, std::nullopt, R"({"kind":"Status","reason":"AlreadyExists"})"});
  EXPECT_TRUE(exists.already_exists());
  EXPECT_FALSE(exists.conflict());

  const ApiError invalid =
      request::parse_error({422, std::nullopt, R"({"kind":"Status","reason":"Invalid","details":
      {"causes":[{"reason":"FieldValueInvalid","message":"no","field":"spec.x"}]}})"});
  ASSERT_EQ(invalid.causes.size(), 1U);
  EXPECT_EQ(invalid.causes[0].field, "spec.x");

  const ApiError busy = request::parse_error({429, std::chrono::seconds(3), "slow down"});
  EXPECT_TRUE(busy.transient());
  EXPECT_EQ(busy.message, "slow down");
  EXPECT_EQ(busy.retry_after, std::chrono::seconds(3));

  EXPECT_TRUE(request::parse_error({410, std::nullopt, "{}"}).expired());
}

}  // namespace
}  // namespace stepdown::kube
