#include "operator/cli/judgement.h"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// The EngineProfiles of docs/validation.md: what it tells people to write must work.
Documents documented_profiles() {
  const std::string page = read_file(std::string(STEPDOWN_SOURCE_DIR) + "/docs/validation.md");
  constexpr std::string_view kOpen = "```yaml\n", kClose = "\n```";
  Documents documents;
  for (auto at = page.find(kOpen); at != std::string::npos; at = page.find(kOpen, at)) {
    at += kOpen.size();
    const std::string text = page.substr(at, page.find(kClose, at) - at);
    if (text.find("EngineProfile") != std::string::npos) add_documents(text, "docs/validation.md", documents);
  }
  return documents;
}

std::string model(const std::string& engine, const std::string& method, const std::string& product,
                  const std::string& rest = "") {
  return "apiVersion: stepdown.dev/v1alpha1\nkind: QuantizedModel\nmetadata: {name: a}\nspec:\n"
         "  model: {source: pvc://models/a}\n"
         "  quantization: {candidates: [{method: " +
         method +
         "}], calibration: {source: pvc://data/a}}\n"
         "  serving:\n    engine: " +
         engine +
         "\n    hardware: {accelerator: nvidia.com/gpu, nodeSelector: {nvidia.com/gpu.product: " + product +
         "}}\n" + rest;
}

std::vector<std::string> about_engine(Documents documents, const std::string& manifest) {
  add_documents(manifest, "model.yaml", documents);
  std::vector<std::string> found;
  for (const Located& each : judge(documents)) {
    if (each.finding.id == "SD009" || (each.finding.id >= "SD015" && each.finding.id <= "SD017") ||
        (each.finding.id >= "SD040" && each.finding.id <= "SD042")) {
      found.push_back(each.finding.id);
    }
  }
  return found;
}

TEST(JudgeDocuments, AnEngineIsAddedByYamlAlone) {
  const Documents own = documented_profiles();
  ASSERT_EQ(own.profiles.size(), 2U);
  EXPECT_THAT(about_engine(own, model("swiftserve", "awq", "NVIDIA-A10")), IsEmpty());
  EXPECT_THAT(about_engine(own, model("swiftserve", "fp8", "NVIDIA-H100-80GB-HBM3")), IsEmpty());
  EXPECT_THAT(about_engine(own, model("swiftserve", "fp8", "NVIDIA-L4")), ElementsAre("SD017"));
  EXPECT_THAT(about_engine(own, model("swiftserve", "gptq", "NVIDIA-L4")), ElementsAre("SD015"));
  EXPECT_THAT(about_engine(own, model("swiftserve", "awq", "NVIDIA-L4", "  kvCache: {type: int8}\n")),
              ElementsAre("SD009"));
  EXPECT_THAT(about_engine({}, model("swiftserve", "awq", "NVIDIA-A10")), ElementsAre("SD041"));
}

TEST(JudgeDocuments, ARowIsOverriddenByYamlAlone) {
  const Documents own = documented_profiles();
  EXPECT_THAT(about_engine({}, model("vllm", "awq", "Tesla-V100-SXM2-32GB")), ElementsAre("SD017"));
  EXPECT_THAT(about_engine(own, model("vllm", "awq", "Tesla-V100-SXM2-32GB")), IsEmpty());
  EXPECT_THAT(about_engine(own, model("vllm", "fp8", "Tesla-V100-SXM2-32GB")), ElementsAre("SD017"))
      << "the other rows stand";
}

TEST(JudgeDocuments, TellsWhatTheApiServerWouldRefuse) {
  Documents documents;
  std::vector<Located> unread;
  add_documents(
      "apiVersion: stepdown.dev/v1alpha1\nkind: QuantizedModel\nmetadata: {name: a}\nspec:\n"
      "  model: {source: pvc://models/a}\n"
      "  serving: {contextLength: -1, hardware: {accelerator: nvidia.com/gpu, count: 0}}\n"
      "  rollout:\n    control: {percent: 900}\n    fallback: {placement: moon}\n"
      "    steps: [{weight: 50}, {weight: 5}]\n"
      "---\napiVersion: stepdown.dev/v1alpha1\nkind: QuantRevision\nmetadata: {name: r}\n"
      "spec: {base: {digest: abc}, method: gguf, preset: Q8_0, toolVersion: \"1\",\n"
      "  artifact: {uri: pvc://c/a, digest: abc}}\n",
      "all.yaml", documents, unread);
  std::set<std::string> paths;
  for (const Located& each : unread) paths.insert(each.finding.id + " " + each.finding.path);
  for (const Located& each : judge(documents)) {
    if (each.finding.severity == compat::Severity::kError)
      paths.insert(each.finding.id + " " + each.finding.path);
  }
  for (const char* path :
       {"spec.serving.contextLength", "spec.serving.hardware.count", "spec.rollout.control.percent",
        "spec.rollout.fallback.placement", "spec.rollout.steps[1].weight", "spec.artifact.digest"}) {
    EXPECT_TRUE(std::ranges::any_of(paths, [&](const std::string& each) { return each.ends_with(path); }))
        << path;
  }
}

TEST(JudgeDocuments, TellsTheLineOfEachFinding) {
  Documents documents;
  add_documents(
      "apiVersion: v1\nkind: Service\n---\n" +
          model("vllm", "gguf, preset: Q9", "NVIDIA-L4", "  rollout:\n    fallback:\n      replicas: 0\n"),
      "model.yaml", documents);
  std::map<std::string, int> lines;
  for (const Located& each : judge(documents)) lines[each.finding.id] = each.line;
  EXPECT_EQ(lines.at("SD002"), 9);
  EXPECT_EQ(lines.at("SD004"), 15);
  EXPECT_EQ(lines.at("SD012"), 7) << "a field that is not there is told at the deepest one that is";
}

TEST(JudgeDocuments, ReadsHeadersThatLieHere) {
  const std::string folder = std::string(STEPDOWN_SOURCE_DIR) + "/examples/headers/llama-3.1-8b-instruct";
  Documents documents;
  add_documents(
      "apiVersion: stepdown.dev/v1alpha1\nkind: QuantizedModel\nmetadata: {name: a}\nspec:\n"
      "  model: {source: \"file://" +
          folder + "\"}\n  serving: {contextLength: 8192, hardware: {memory: 12Gi}}\n",
      "model.yaml", documents);
  const auto findings = judge(documents);
  const auto fits =
      std::ranges::find_if(findings, [](const Located& each) { return each.finding.id == "SD005"; });
  ASSERT_NE(fits, findings.end());
  EXPECT_EQ(fits->finding.severity, compat::Severity::kError);
  EXPECT_THAT(fits->finding.message, testing::HasSubstr("FP16 needs 16"));
}

TEST(AddDocuments, NamesTheFileOfWhatItCannotRead) {
  Documents documents;
  try {
    add_documents("kind: QuantizedModel\napiVersion: stepdown.dev/v1alpha1\nmetadata: {name: A.B}\n",
                  "x.yaml", documents);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(error.where(), "x.yaml");
  }
}

}  // namespace
}  // namespace stepdown::cli
