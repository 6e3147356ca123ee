#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/rollout/children/engine.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

json pod_of(bool fp16, std::optional<api::NodeCacheSpec> cache) {
  api::QuantizedModel model;
  model.metadata = {.name = "m", .ns = "default", .uid = "u"};
  model.spec.model.source = "pvc://models/base";
  model.spec.storage.node_cache = std::move(cache);
  const api::ModelFacts base{.digest = "sha256:b", .format = "gguf", .architecture = "llama", .size = 100};
  const Engine engine{.name = "m-1",
                      .digest = "sha256:a",
                      .source = fp16 ? "pvc://models/base" : "pvc://artifacts/a/model.gguf",
                      .bytes = 50,
                      .fp16 = fp16};
  return children::engine(model, {"engine:1", "gateway:1"}, std::nullopt, base, engine)
      .at(0)["spec"]["template"]["spec"];
}

const json* mount_at(const json& container, const std::string& path) {
  for (const json& mount : container["volumeMounts"]) {
    if (mount["mountPath"] == path) return &mount;
  }
  return nullptr;
}

TEST(NodeCache, AnEngineServesWhatItsPodCopiedToTheNode) {
  for (const bool fp16 : {false, true}) {
    const json pod = pod_of(fp16, api::NodeCacheSpec{"disks", "2Gi"});
    const std::string mounted = fp16 ? "/models/base" : "/models/artifact";
    const json& copies = pod["initContainers"][0];
    EXPECT_EQ(copies["args"], (json{"cache", "--cache", "/node-cache", "--model", mounted, "--digest",
                                    "sha256:a", "--limit", "2147483648", "--link", "/models/served/model"}));
    const json& engine = pod["containers"][0];
    EXPECT_EQ(engine["args"][2], "/models/served/model");
    EXPECT_EQ(pod["containers"][1]["args"],
              (json{"cache", "--hold", "--cache", "/node-cache", "--digest", "sha256:a"}));
    // The link may lead to either.
    for (const json* container : {&copies, &engine}) {
      for (const std::string& path : {mounted, std::string("/node-cache"), std::string("/models/served")}) {
        ASSERT_NE(mount_at(*container, path), nullptr) << path;
      }
      EXPECT_EQ(*mount_at(*container, mounted), *mount_at(engine, mounted));
    }
    EXPECT_TRUE(mount_at(engine, "/node-cache")->value("readOnly", false));
    EXPECT_FALSE(mount_at(copies, "/node-cache")->value("readOnly", false));
    EXPECT_EQ(copies["image"], "engine:1");
    EXPECT_EQ(copies["securityContext"], engine["securityContext"]);
    EXPECT_NE(pod["volumes"].dump().find(R"({"claimName":"disks"})"), std::string::npos);
  }
}

TEST(NodeCache, AClaimThatHoldsTheModelTooIsOneVolume) {  // no kubelet starts a pod that has it twice
  const json pod = pod_of(true, api::NodeCacheSpec{"models", "2Gi"});
  const auto of_claim = [](const json& volume) { return volume.contains("persistentVolumeClaim"); };
  EXPECT_EQ(std::ranges::count_if(pod["volumes"], of_claim), 1);
  for (const json* container : {&pod["initContainers"][0], &pod["containers"][0]})
    EXPECT_EQ((*mount_at(*container, "/node-cache"))["name"],
              (*mount_at(*container, "/models/base"))["name"]);
  EXPECT_FALSE(mount_at(pod["initContainers"][0], "/node-cache")->contains("subPath"));
}

TEST(NodeCache, WithoutOneThereIsNoOtherContainer) {
  const json pod = pod_of(false, std::nullopt);
  EXPECT_FALSE(pod.contains("initContainers"));
  EXPECT_EQ(pod["containers"].size(), 1);
  EXPECT_EQ(pod["containers"][0]["args"][2], "/models/artifact");
}

}  // namespace
}  // namespace stepdown::rollout::children
