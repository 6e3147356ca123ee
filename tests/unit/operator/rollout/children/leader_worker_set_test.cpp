// The group of pods that serves one replica of a model larger than a node, against the API of
// leaderworkerset.x-k8s.io/v1 (kubernetes-sigs/lws, api/leaderworkerset/v1/leaderworkerset_types.go).
#include <fstream>
#include <set>
#include <sstream>

#include "tests/unit/operator/rollout/cluster.h"
#include <gtest/gtest.h>

#include "operator/api/yaml.h"
#include "operator/compat/matrix.h"
#include "operator/rollout/children/engine.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

json group(const std::string& engine) {
  api::QuantizedModel model;
  model.metadata = {.name = "llama-405b", .ns = "default", .uid = "u"};
  model.spec.model.source = "pvc://models/llama-405b";
  model.spec.serving.engine = engine;
  model.spec.serving.context_length = 8192;
  model.spec.serving.concurrency = 4;
  model.spec.serving.replicas = 2;
  model.spec.kv_cache.type = "fp8";
  model.spec.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 16, .nodes = 2};
  model.spec.serving.hardware->node_selector = {{"nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"}};
  const api::ModelFacts base{.digest = "sha256:b",
                             .format = "safetensors",
                             .architecture = "llama",
                             .size = 1000,
                             .memory = {.weights = std::int64_t{800} << 30}};
  const auto profile = compat::effective_profile(engine, std::nullopt);
  const Engine what{.name = "llama-405b-0123456789ab",
                    .digest = "sha256:0123456789abcdef",
                    .source = "pvc://artifacts/0123",
                    .bytes = std::int64_t{400} << 30,
                    .kv_type = "fp8",
                    .replicas = 2};
  return children::engine(model, {"engine:1", "gateway:1"}, profile, base, what).at(0);
}

void only(const json& object, const std::set<std::string>& known, const char* where) {
  for (const auto& [field, value] : object.items())
    EXPECT_TRUE(known.contains(field)) << where << "." << field;
}

TEST(LeaderWorkerSet, UsesTheFieldsOfItsApi) {
  const json set = group("vllm");
  EXPECT_EQ(set["apiVersion"], "leaderworkerset.x-k8s.io/v1");
  EXPECT_EQ(set["kind"], "LeaderWorkerSet");
  const json& spec = set["spec"];
  only(spec, {"replicas", "leaderWorkerTemplate", "rolloutStrategy", "startupPolicy", "networkConfig"},
       "spec");
  only(spec["leaderWorkerTemplate"],
       {"leaderTemplate", "workerTemplate", "size", "restartPolicy", "subGroupPolicy", "volumeClaimTemplates",
        "persistentVolumeClaimRetentionPolicy"},
       "spec.leaderWorkerTemplate");
  only(spec["rolloutStrategy"], {"type", "rollingUpdateConfiguration"}, "spec.rolloutStrategy");
  only(spec["rolloutStrategy"]["rollingUpdateConfiguration"], {"partition", "maxUnavailable", "maxSurge"},
       "spec.rolloutStrategy.rollingUpdateConfiguration");
  EXPECT_EQ(spec["networkConfig"], json({{"subdomainPolicy", "UniquePerReplica"}}))
      << "a shared headless Service would have our Service's name";
}

TEST(LeaderWorkerSet, IsTheGoldenObject) {
  const std::string path =
      std::string(STEPDOWN_SOURCE_DIR) + "/tests/unit/operator/rollout/children/leader_worker_set.yaml";
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  json set = group("vllm");
  set["metadata"].erase("annotations");
  const auto documents = api::documents_from_yaml(text.str(), path);
  ASSERT_EQ(documents.size(), 1U);
  EXPECT_EQ(documents[0], set) << set.dump(1);
}

TEST(LeaderWorkerSet, IsSelectedByItsLeadersAlone) {
  const json tmpl = group("vllm")["spec"]["leaderWorkerTemplate"];
  EXPECT_EQ(tmpl["leaderTemplate"]["metadata"]["labels"]["stepdown.dev/engine"], "llama-405b-0123456789ab");
  EXPECT_FALSE(tmpl["workerTemplate"]["metadata"]["labels"].contains("stepdown.dev/engine"));
  EXPECT_EQ(tmpl["workerTemplate"]["metadata"]["labels"]["app.kubernetes.io/name"], "engine-worker");
}

}  // namespace
}  // namespace stepdown::rollout::children
