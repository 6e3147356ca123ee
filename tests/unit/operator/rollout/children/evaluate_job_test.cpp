#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/rollout/children/jobs.h"

namespace stepdown::rollout::children {
namespace {

using nlohmann::json;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

json container_of(const std::string& artifact, const std::string& limit,
                  const std::vector<api::Adapter>& adapters = {}) {
  api::QuantizedModel model;
  model.metadata = {.name = "m", .ns = "default", .uid = "u"};
  model.spec.model.source = "file:///models/llama";
  model.spec.model.adapters = adapters;
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

bool has_run(const json& container, const json& wanted) {
  const json& args = container["args"];
  return std::search(args.begin(), args.end(), wanted.begin(), wanted.end()) != args.end();
}

bool refers_to_base(const json& container) {
  return has_run(container, {"--reference", "/models/base"});
}

bool has_mount(const json& container, const char* path) {
  return std::ranges::any_of(container["volumeMounts"],
                             [&](const json& mount) { return mount["mountPath"] == path; });
}

bool mounts_base(const json& container) {
  return has_mount(container, "/models/base");
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

// So that what is measured is quantization alone.
TEST(EvaluateJob, TheReferenceHasTheAdaptersThatTheArtifactHas) {
  const std::vector<api::Adapter> adapters = {{"file:///models/tone", 1}, {"file:///models/law", 0.5}};
  const json container = container_of("pvc://claim/abc", "", adapters);
  EXPECT_TRUE(has_run(container, {"--reference", "/models/base", "--reference-adapter",
                                  "/models/adapters/0=1.0", "--reference-adapter", "/models/adapters/1=0.5"}))
      << container["args"];
  EXPECT_TRUE(has_mount(container, "/models/adapters/1"));
  EXPECT_FALSE(has_run(container, {"--adapter"})) << "not merged a second time";
  EXPECT_FALSE(has_run(container_of("", "", adapters), {"--reference-adapter"}));
  const json small = container_of("pvc://claim/abc", "5Gi", adapters);
  EXPECT_FALSE(has_run(small, {"--reference-adapter"}));
  EXPECT_FALSE(has_mount(small, "/models/adapters/0")) << "nobody reads them";
}

TEST(EvaluateJob, ALimitThatHoldsNotBothLeavesTheReferenceOut) {
  const json small = container_of("pvc://claim/abc", "5Gi");
  EXPECT_FALSE(refers_to_base(small));
  EXPECT_FALSE(mounts_base(small));
  EXPECT_TRUE(refers_to_base(container_of("pvc://claim/abc", "8Gi")));
}

}  // namespace
}  // namespace stepdown::rollout::children
