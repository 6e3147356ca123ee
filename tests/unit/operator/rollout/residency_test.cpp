#include "operator/rollout/residency.h"

#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

#include "operator/compat/matrix.h"

namespace stepdown::rollout {
namespace {

using testing::Cluster;
using testing::digest;

Cluster on_demand() {
  Cluster cluster;
  cluster.model.spec.rollout.fallback = {.replicas = 0, .residency = "onDemand"};
  return cluster;
}

/// The gateway found no FP16 to ask.
void miss(Cluster& cluster) {
  cluster.gateway_follows = false;
  cluster.model.status.verdict->fp16_wanted_at = api::format_time(cluster.now);
  cluster.settle_all();
}

TEST(Residency, Fp16IsUnloadedOnceAQuantizedRevisionIsStable) {
  Cluster cluster = on_demand();
  cluster.until("Canary");
  EXPECT_EQ(cluster.replicas("m-fp16"), 1) << "a rollout needs its control";
  cluster.until("Promoted");
  cluster.settle_all();
  EXPECT_EQ(cluster.replicas("m-fp16"), 0);
  EXPECT_EQ(cluster.ready(), "True Promoted");
  EXPECT_TRUE(api::is_true(cluster.model.status.conditions, "Available"));
  EXPECT_TRUE(cluster.has("Service", "m-fp16"));
}

TEST(Residency, AnswersThatNeedFp16LoadItForTenMinutes) {
  Cluster cluster = on_demand();
  cluster.until("Promoted");
  cluster.settle_all();
  miss(cluster);
  EXPECT_EQ(cluster.replicas("m-fp16"), 1);
  EXPECT_EQ(cluster.model.status.phase, "Promoted");
  ASSERT_TRUE(cluster.last.look_again);
  EXPECT_LE(*cluster.last.look_again, kStaysLoaded);
  cluster.wait(std::chrono::minutes(9));
  EXPECT_EQ(cluster.replicas("m-fp16"), 1);
  miss(cluster);
  cluster.wait(std::chrono::minutes(9));
  EXPECT_EQ(cluster.replicas("m-fp16"), 1) << "it was needed again";
  cluster.wait(std::chrono::minutes(1));
  EXPECT_EQ(cluster.replicas("m-fp16"), 0);
}

TEST(Residency, ATripKeepsFp16Loaded) {
  Cluster cluster = on_demand();
  cluster.until("Promoted");
  cluster.settle_all();
  miss(cluster);
  cluster.trip(digest('4'));
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.rollout->stable, cluster.base);
  cluster.wait(std::chrono::hours(1));
  EXPECT_EQ(cluster.replicas("m-fp16"), 1);
}

TEST(Residency, ARollbackByCommandWaitsUntilFp16Answers) {
  Cluster cluster = on_demand();
  cluster.until("Promoted");
  cluster.settle_all();
  cluster.stuck.insert("m-fp16");
  cluster.command("rollback", "", "1");
  cluster.settle_all();
  EXPECT_EQ(cluster.replicas("m-fp16"), 1);
  EXPECT_EQ(cluster.model.status.rollout->stable, digest('4')) << "it serves until FP16 can";
  EXPECT_FALSE(cluster.model.status.command);
  cluster.stuck.clear();
  cluster.settle_all();
  EXPECT_EQ(cluster.model.status.rollout->stable, cluster.base);
  EXPECT_EQ(cluster.model.status.command->result, "Done");
  EXPECT_EQ(cluster.replicas("m-fp16"), 1);
}

TEST(Residency, AWarmFp16StaysWhatItIs) {
  Cluster cluster;
  cluster.until("Promoted");
  cluster.settle_all();
  EXPECT_EQ(cluster.replicas("m-fp16"), 1);
  EXPECT_TRUE(demand(cluster.model, cluster.now).fp16);
}

nlohmann::json pod_of(const Cluster& cluster, const std::string& deployment) {
  return cluster.objects.at({"Deployment", deployment}).at("spec").at("template").at("spec");
}

TEST(Placement, OnCpusFp16IsServedByTheBundledEngineWithoutAccelerators) {
  Cluster cluster;
  cluster.base_format = "safetensors";
  cluster.model.spec.quantization.candidates = {{"awq", "", 4, {}}};
  cluster.model.spec.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
  cluster.artifact["awq"] = {digest('4'), 300};
  cluster.model.spec.serving.engine = "vllm";
  cluster.profile = *compat::builtin_profile("vllm");
  cluster.model.spec.serving.hardware =
      api::HardwareSpec{.accelerator = "nvidia.com/gpu", .node_selector = {{"pool", "gpu"}}};
  cluster.model.spec.serving.resources = api::Resources{
      .requests = {{"cpu", {"4"}}}, .limits = {{"memory", {"8Gi"}}, {"example.com/nic", {"1"}}}};
  cluster.model.spec.rollout.fallback.placement = "cpu";
  cluster.until("Canary");
  ASSERT_EQ(cluster.model.status.phase, "Canary") << cluster.model.status.summary.message;
  const auto fp16 = pod_of(cluster, "m-fp16");
  EXPECT_EQ(fp16.at("containers").at(0).at("image"), cluster.settings.engine_image);
  EXPECT_EQ(fp16.at("containers").at(0).at("args").at(0), "serve");
  EXPECT_FALSE(fp16.contains("nodeSelector"));
  const auto resources = fp16.at("containers").at(0).at("resources");
  EXPECT_FALSE(resources.contains("limits")) << resources;
  EXPECT_EQ(resources.at("requests").at("cpu"), "4");
  const auto candidate = pod_of(cluster, "m-444444444444");
  EXPECT_NE(candidate.at("containers").at(0).at("image"), cluster.settings.engine_image);
  EXPECT_EQ(candidate.at("containers").at(0).at("resources").at("limits").at("nvidia.com/gpu"), "1");
  EXPECT_EQ(candidate.at("nodeSelector").at("pool"), "gpu");
}

TEST(Placement, OnAnotherGpuKeepsOffNodesWhereAcceleratorsAreShared) {
  for (const auto& [accelerator, apart] :
       {std::pair{"nvidia.com/gpu.shared", true}, std::pair{"nvidia.com/gpu", false}}) {
    Cluster cluster;
    cluster.model.spec.serving.hardware = api::HardwareSpec{.accelerator = accelerator};
    cluster.model.spec.rollout.fallback.placement = "otherGPU";
    cluster.until("Canary");
    EXPECT_EQ(pod_of(cluster, "m-fp16").contains("affinity"), apart) << accelerator;
    EXPECT_FALSE(pod_of(cluster, "m-444444444444").contains("affinity"));
  }
}

}  // namespace
}  // namespace stepdown::rollout
