#include "operator/cli/report_pod.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

const json kModel = json::parse(R"({"apiVersion": "stepdown.dev/v1alpha1", "kind": "QuantizedModel",
  "metadata": {"name": "m", "namespace": "ns", "uid": "u"}})");
const json kJob = json::parse(R"({"spec": {"template": {"spec": {
  "nodeSelector": {"zone": "a"}, "securityContext": {"runAsNonRoot": true},
  "volumes": [{"name": "model", "hostPath": {"path": "/m"}}, {"name": "artifacts", "persistentVolumeClaim": {"claimName": "c"}}],
  "containers": [{"name": "evaluate", "image": "engine:1", "args": ["evaluate"], "resources": {"requests": {"memory": "9Gi"}},
    "volumeMounts": [{"name": "model", "mountPath": "/models/base"}, {"name": "artifacts", "mountPath": "/artifacts"}]}]}}}})");

TEST(ReportPod, RunsWhereTheJobRanAndReadsTheClaimAlone) {
  const json pod = report_pod(kModel, kJob, "pvc://c/reports/m-eval-1.html");
  const json& spec = pod.at("spec");
  EXPECT_EQ(pod.at("metadata").at("ownerReferences").at(0).at("uid"), "u");
  EXPECT_EQ(spec.at("nodeSelector").at("zone"), "a");
  EXPECT_EQ(spec.at("volumes").size(), 1u);
  const json& container = spec.at("containers").at(0);
  EXPECT_EQ(container.at("image"), "engine:1");
  EXPECT_EQ(container.at("args"),
            json({"artifacts", "--dir", "/artifacts", "--print", "reports/m-eval-1.html"}));
  EXPECT_EQ(container.at("volumeMounts"),
            json::parse(R"([{"name": "artifacts", "mountPath": "/artifacts", "readOnly": true}])"));
  EXPECT_FALSE(container.contains("resources"));
}

TEST(ReportPod, RefusesStrangeJobsAndPlaces) {
  EXPECT_THROW(report_pod(kModel, json::object(), "pvc://c/reports/x.html"), Error);
  EXPECT_THROW(report_pod(kModel, kJob, "file:///reports/x.html"), Error);
  EXPECT_THROW(report_pod(kModel, kJob, "pvc://c"), Error);
}

}  // namespace
}  // namespace stepdown::cli
