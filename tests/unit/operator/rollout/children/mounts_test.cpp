#include <gtest/gtest.h>

#include "operator/rollout/children/common.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

TEST(Mounts, AClaimIsOneVolumeHoweverOftenItIsMounted) {
  api::QuantizedModel model;
  Mounts mounts(model);
  mounts.add_claim("artifacts", "models", "/artifacts", /*read_only=*/false);
  mounts.add_source("model", "pvc://models/llama/8b", "/models/base");
  mounts.add_source("evaluation", "pvc://prompts/heldout.jsonl", "/data/evaluation");
  EXPECT_EQ(mounts.volumes,
            json({{{"name", "artifacts"}, {"persistentVolumeClaim", {{"claimName", "models"}}}},
                  {{"name", "evaluation"}, {"persistentVolumeClaim", {{"claimName", "prompts"}}}}}));
  EXPECT_EQ(mounts.mounts[1], json({{"name", "artifacts"},
                                    {"mountPath", "/models/base"},
                                    {"subPath", "llama/8b"},
                                    {"readOnly", true}}));
}

TEST(Mounts, AFileIsAFolderOfTheHost) {
  api::QuantizedModel model;
  Mounts mounts(model);
  mounts.add_source("model", "file:///models/llama", "/models/base");
  EXPECT_EQ(mounts.volumes[0]["hostPath"]["path"], "/models/llama");
  EXPECT_EQ(mounts.mounts[0]["readOnly"], true);
}

}  // namespace
}  // namespace stepdown::rollout::children
