#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/rollout/children/jobs.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

json container_of(const std::string& artifact, const std::string& limit) {
  api::QuantizedModel model;
  model.metadata = {.name = "m", .ns = "default", .uid = "u"};
  model.spec.model.source = "file:///models/llama";
  model.spec.evaluation.dataset = "file:///data/heldout.jsonl";
  model.spec.serving.context_length = 512;
  if (!limit.empty()) {
    model.spec.serving.resources.emplace();
    model.spec.serving.resources->limits["memory"] = {limit};
  }
  api::ModelFacts base{
      .digest = "sha256:b", .format = "safetensors", .architecture = "llama", .size = 4 * kGiB};
  base.memory.weights = 4 * kGiB;
  const json job = evaluate_job(model, {"engine:1", "gateway:1"}, "m-eval-1", base,
                                {.uri = artifact, .kv_type = "fp16", .baseline = "m-eval-0", .bytes = kGiB});
  return job["spec"]["template"]["spec"]["containers"][0];
}

bool refers_to_base(const json& container) {
  const json wanted = {"--reference", "/models/base"};
  const json& args = container["args"];
  return std::search(args.begin(), args.end(), wanted.begin(), wanted.end()) != args.end();
}

bool mounts_base(const json& container) {
  return std::ranges::any_of(container["volumeMounts"],
                             [](const json& mount) { return mount["mountPath"] == "/models/base"; });
}

TEST(EvaluateJob, ComparesArtifactsWithTheBaseTokenByToken) {
  const json container = container_of("pvc://claim/abc", "");
  EXPECT_TRUE(refers_to_base(container));
  EXPECT_TRUE(mounts_base(container));
  const std::string request = container["resources"]["requests"]["memory"];
  EXPECT_GE(std::stoll(request), 5 * 1024) << "both models' weights: " << request;
}

TEST(EvaluateJob, TheBaseItselfHasNoReference) {
  EXPECT_FALSE(refers_to_base(container_of("", "")));
}

TEST(EvaluateJob, ALimitThatHoldsNotBothLeavesTheReferenceOut) {
  const json small = container_of("pvc://claim/abc", "5Gi");
  EXPECT_FALSE(refers_to_base(small));
  EXPECT_FALSE(mounts_base(small));
  EXPECT_TRUE(refers_to_base(container_of("pvc://claim/abc", "8Gi")));
}

}  // namespace
}  // namespace stepdown::rollout::children
