#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/rollout/children/common.h"
#include "operator/rollout/children/engine.h"
#include "operator/rollout/children/gateway.h"
#include "operator/rollout/children/jobs.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

const api::ModelFacts kBase{.digest = "sha256:b", .format = "gguf", .context_length = 4096, .size = 100};
const Settings kSettings{
    .engine_image = "engine:1", .gateway_image = "gateway:1", .pull_secrets = {"ours", "mirror"}};

api::QuantizedModel model_on_tainted_nodes() {
  api::QuantizedModel model;
  model.metadata = {.name = "m", .ns = "default", .uid = "u"};
  model.spec.model.source = "pvc://models/base";
  model.spec.serving.hardware = api::HardwareSpec{
      .node_selector = {{"pool", "gpu"}},
      .tolerations = {{.key = "nvidia.com/gpu", .op = "Exists"},
                      {.key = "pool", .op = "Equal", .value = "gpu", .effect = "NoExecute", .seconds = 60}}};
  return model;
}

json pod_of(const json& object) {
  return object.at("spec").at("template").at("spec");
}

json engine_pod(const api::QuantizedModel& model) {
  const Engine serving{.name = "m-fp16", .digest = "sha256:b", .source = "pvc://models/base", .fp16 = true};
  return pod_of(children::engine(model, kSettings, std::nullopt, kBase, serving).at(0));
}

TEST(Placement, EnginesAndJobsTolerateWhatTheSpecSays) {
  const api::QuantizedModel model = model_on_tainted_nodes();
  const json wanted = {{{"key", "nvidia.com/gpu"}, {"operator", "Exists"}},
                       {{"key", "pool"},
                        {"operator", "Equal"},
                        {"value", "gpu"},
                        {"effect", "NoExecute"},
                        {"tolerationSeconds", 60}}};
  for (const json& pod : {engine_pod(model), pod_of(inspect_job(model, kSettings, "m-inspect"))}) {
    EXPECT_EQ(pod.at("tolerations"), wanted);
    EXPECT_EQ(pod.at("nodeSelector"), (json{{"pool", "gpu"}}));
  }
}

TEST(Placement, AllPodsArePulledWithTheSecretsOfTheInstallation) {
  const api::QuantizedModel model = model_on_tainted_nodes();
  const json gateway = children::gateway(model, kSettings).at(3);
  ASSERT_EQ(gateway.at("kind"), "Deployment");
  const json wanted = {{{"name", "ours"}}, {{"name", "mirror"}}};
  for (const json& pod : {engine_pod(model), pod_of(inspect_job(model, kSettings, "m-i")), pod_of(gateway)}) {
    EXPECT_EQ(pod.at("imagePullSecrets"), wanted);
  }
  EXPECT_FALSE(
      pod_of(children::gateway(model, {"engine:1", "gateway:1"}).at(3)).contains("imagePullSecrets"));
}

/// Proxies of nodes hear late that a pod ends, and lead clients to it until then; so do gateways of an
/// engine.
TEST(Placement, GatewaysAndEnginesThatEndServeUntilTheyAreLedAround) {
  const api::QuantizedModel model = model_on_tainted_nodes();
  for (const json& pod : {pod_of(children::gateway(model, kSettings).at(3)), engine_pod(model)}) {
    const json& container = pod.at("containers").at(0);
    const int linger = container.at("lifecycle").at("preStop").at("sleep").at("seconds");
    EXPECT_GE(linger, 5);
    EXPECT_GE(pod.at("terminationGracePeriodSeconds").get<int>(), linger + 25)
        << "and then ends what is under way";
  }
}

/// A budget counts the pods that its selector finds: those of the Deployment, and no Job's.
TEST(Placement, GatewaysAreSpreadAndEvictedOneAtATime) {
  const auto objects = children::gateway(model_on_tainted_nodes(), kSettings);
  const json deployment = objects.at(3), budget = objects.back();
  EXPECT_EQ(budget.at("kind"), "PodDisruptionBudget");
  EXPECT_EQ(budget.at("spec").at("maxUnavailable"), 1);
  EXPECT_EQ(budget.at("spec").at("selector"), deployment.at("spec").at("selector"));
  const json spread = pod_of(deployment).at("topologySpreadConstraints").at(0);
  EXPECT_EQ(spread.at("labelSelector"), deployment.at("spec").at("selector"));
  EXPECT_EQ(spread.at("whenUnsatisfiable"), "ScheduleAnyway");
}

TEST(Placement, EveryJobEndsSometime) {
  const api::QuantizedModel model = model_on_tainted_nodes();
  EXPECT_GT(inspect_job(model, kSettings, "m-i").at("spec").at("activeDeadlineSeconds"), 24 * 3600);
  EXPECT_EQ(
      collect_job(model, kSettings, "m-c", {"pvc://c/a/model.gguf"}).at("spec").at("activeDeadlineSeconds"),
      600);
}

}  // namespace
}  // namespace stepdown::rollout::children
