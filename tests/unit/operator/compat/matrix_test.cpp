#include "operator/compat/matrix.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/formats/hf_architecture.h"
#include "engine/memory/engines.h"
#include "operator/api/yaml.h"
#include "operator/compat/hardware.h"
#include "operator/compat/version.h"

namespace stepdown::compat {
namespace {

TEST(Matrix, EveryRowHasItsSourceAndKnownHardware) {
  EXPECT_EQ(builtin_profiles().size(), 7U);
  for (const api::EngineProfile& profile : builtin_profiles()) {
    for (const api::Support& row : profile.spec.support) {
      EXPECT_TRUE(row.source.starts_with("https://")) << profile.metadata.name;
      for (const std::string& each : row.hardware) EXPECT_TRUE(is_hardware(each)) << each;
    }
  }
}

TEST(Matrix, StatesTheOverheadThatTheBundledEngineWasMeasuredWith) {
  EXPECT_EQ(api::parse_quantity(builtin_profile("stepdown")->spec.memory.overhead),
            memory::engine_traits("stepdown").overhead);
}

TEST(Matrix, AProfileOfTheClusterGoesFirst) {
  std::optional<api::EngineProfile> own(std::in_place);
  own->spec.support = {{.formats = {"awq"}, .hardware = {"volta"}, .note = "our own kernels"}};
  const Question awq_on_volta{"awq", "", "volta", ""};
  EXPECT_EQ(EngineSupport("vllm", std::nullopt).loads(awq_on_volta).verdict, Verdict::kRefused);
  EXPECT_EQ(EngineSupport("vllm", own).loads(awq_on_volta).verdict, Verdict::kWorks);
  EXPECT_EQ(EngineSupport("vllm", own).loads({"awq", "", "cdna2", ""}).verdict, Verdict::kRefused)
      << "the rest stands";
  EXPECT_EQ(effective_profile("vllm", own)->spec.image, builtin_profile("vllm")->spec.image);
  own->spec.image = "own:1";
  EXPECT_EQ(effective_profile("vllm", own)->spec.version, "")
      << "only its author knows the version of another image";
}

TEST(Matrix, AnImageIsOfItsAcceleratorOrOfTheSameMaker) {
  const api::EngineProfileSpec& vllm = builtin_profile("vllm")->spec;
  EXPECT_EQ(image_for(vllm, "nvidia.com/gpu"), "vllm/vllm-openai:v0.15.1");
  EXPECT_EQ(image_for(vllm, "nvidia.com/mig-1g.10gb"), "vllm/vllm-openai:v0.15.1");
  EXPECT_EQ(image_for(vllm, "nvidia.com/gpu.shared"), "vllm/vllm-openai:v0.15.1");
  EXPECT_EQ(image_for(vllm, "amd.com/gpu"), "vllm/vllm-openai-rocm:v0.15.1");
  EXPECT_EQ(image_for(vllm, "gpu.intel.com/xe"), "") << "a CUDA build does not start there";
  EXPECT_THAT(image_for(vllm, ""), testing::HasSubstr("vllm-cpu"));
  EXPECT_THAT(image_for(builtin_profile("llama.cpp")->spec, "gpu.intel.com/xe"),
              testing::HasSubstr("server-intel"));
  EXPECT_THAT(image_for(builtin_profile("tgi")->spec, ""), testing::HasSubstr("intel-cpu"));
  EXPECT_EQ(image_for({.image = "own:1"}, "example.com/fpga"), "own:1");
}

TEST(Matrix, TellsWhichArchitecturesRun) {
  const EngineSupport stepdown("stepdown", std::nullopt), vllm("vllm", std::nullopt),
      trt("tensorrt-llm", std::nullopt), llama("llama.cpp", std::nullopt);
  for (const formats::HfArchitecture& each : formats::hf_architectures()) {
    for (const std::string_view name : {each.model_type, each.gguf})
      EXPECT_EQ(stepdown.runs({"", "", "", name}).verdict, Verdict::kWorks) << name;
    EXPECT_EQ(llama.runs({"", "", "", each.model_type}).verdict, Verdict::kWorks) << each.model_type;
  }
  EXPECT_EQ(stepdown.runs({"", "", "", "starcoder2"}).verdict, Verdict::kUndocumented);
  EXPECT_EQ(vllm.runs({"", "", "", "starcoder2"}).verdict, Verdict::kWorks);
  EXPECT_EQ(vllm.runs({"", "", "", "brand-new"}).verdict, Verdict::kDegraded)
      << "by its Transformers backend";
  EXPECT_EQ(trt.runs({"", "", "", "qwen3_moe"}).verdict, Verdict::kWorks);
  EXPECT_EQ(trt.runs({"", "", "", "starcoder2"}).verdict, Verdict::kUndocumented);
  EXPECT_EQ(trt.runs({"", "", "", "smollm3"}).verdict, Verdict::kUndocumented) << "with 1.3 alone";
}

// docs.vllm.ai/en/v0.12.0/getting_started/installation/cpu: what the published image is built with.
TEST(Matrix, LevelsOfCpusCount) {
  const EngineSupport vllm("vllm", std::nullopt);
  EXPECT_EQ(vllm.loads({"awq", "", "avx2", ""}).verdict, Verdict::kRefused);
  EXPECT_EQ(vllm.loads({"awq", "", "vnni", ""}).verdict, Verdict::kDegraded);
  EXPECT_EQ(vllm.loads({"awq", "", "amx", ""}).verdict, Verdict::kWorks);
  std::optional<api::EngineProfile> later(std::in_place);
  later->spec.version = "0.17.0";
  EXPECT_EQ(EngineSupport("vllm", later).loads({"awq", "", "avx2", ""}).verdict, Verdict::kWorks);
  EXPECT_EQ(EngineSupport("llama.cpp", std::nullopt).loads({"gguf", "", "avx2", ""}).verdict,
            Verdict::kWorks);
}

TEST(Matrix, AnEngineOfItsOwnIsYamlOnly) {
  std::optional<api::EngineProfile> own(std::in_place);
  own->spec.image = "own:1";
  own->spec.formats = {"gguf"};
  own->spec.kv_types = {"fp16", "int8"};
  const EngineSupport engine("own", own);
  EXPECT_EQ(engine.loads({"gguf", "", "ada", ""}).verdict, Verdict::kWorks);
  EXPECT_EQ(engine.loads({"awq", "", "ada", ""}).verdict, Verdict::kUnlisted);
  EXPECT_EQ(engine.keeps_cache({"", "int8", "ada", ""}).verdict, Verdict::kWorks);
  EXPECT_FALSE(EngineSupport("own", std::nullopt).known());
}

TEST(Hardware, IsReadFromNodeLabels) {
  using Labels = std::map<std::string, std::string>;
  const std::string gpu = "nvidia.com/gpu";
  const std::pair<Labels, const char*> cases[] = {
      {{{"nvidia.com/gpu.family", "ampere"}}, "ampere"},
      {{{"nvidia.com/gpu.family", "ada-lovelace"}}, "ada"},
      {{{"nvidia.com/gpu.family", "blackwell"}}, "blackwell"},
      {{{"nvidia.com/gpu.family", "blackwell"}, {"nvidia.com/gpu.compute.major", "12"}}, "blackwell-rtx"},
      {{{"nvidia.com/gpu.compute.major", "7"}, {"nvidia.com/gpu.compute.minor", "5"}}, "turing"},
      {{{"nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"}}, "hopper"},
      {{{"nvidia.com/gpu.product", "NVIDIA-A10G-SHARED"}}, "ampere"},
      {{{"cloud.google.com/gke-accelerator", "nvidia-l4"}}, "ada"},
      {{{"karpenter.k8s.aws/instance-gpu-name", "t4"}}, "turing"},
      {{}, "nvidia"},
  };
  for (const auto& [labels, wanted] : cases) EXPECT_EQ(hardware_of(labels, gpu), wanted);
  EXPECT_EQ(hardware_of({{"amd.com/gpu.product-name", "AMD_Instinct_MI300X_OAM"}}, "amd.com/gpu"), "cdna3");
  EXPECT_EQ(hardware_of({{"amd.com/gpu.device-id", "740f"}}, "amd.com/gpu"), "cdna2");
  EXPECT_EQ(hardware_of({{"beta.amd.com/gpu.device-id", "75a3"}}, "amd.com/gpu"), "cdna4");
  EXPECT_EQ(hardware_of({{"gpu.intel.com/product", "Max_1550"}}, "gpu.intel.com/xe"), "intel-gpu");
  EXPECT_EQ(hardware_of({{"kubernetes.io/arch", "arm64"}}, ""), "arm");
  EXPECT_EQ(hardware_of({{"feature.node.kubernetes.io/cpu-cpuid.AVX512F", "true"}}, ""), "avx512");
  EXPECT_EQ(hardware_of({{"feature.node.kubernetes.io/cpu-cpuid.AVX2", "true"}}, ""), "avx2");
  EXPECT_EQ(hardware_of({{"feature.node.kubernetes.io/cpu-cpuid.AMXINT8", "true"}}, ""), "amx");
  EXPECT_EQ(hardware_of({{"feature.node.kubernetes.io/cpu-cpuid.AVX2", "true"},
                         {"feature.node.kubernetes.io/cpu-cpuid.AVXVNNI", "true"}},
                        ""),
            "avx2")
      << "a client's processor, without AVX-512";
  EXPECT_EQ(hardware_of({}, "example.com/fpga"), "");
  EXPECT_EQ(product_of({{"nvidia.com/gpu.product", "NVIDIA-X1"}}), "NVIDIA-X1");
  EXPECT_EQ(product_of({{"kubernetes.io/arch", "amd64"}}), "");
}

TEST(Hardware, TellsHowMuchMemoryAnAcceleratorHas) {
  using Labels = std::map<std::string, std::string>;
  const auto product = [](const char* name) { return Labels{{"nvidia.com/gpu.product", name}}; };
  constexpr std::int64_t kGigabyte = 1'000'000'000;
  EXPECT_EQ(memory_of(product("NVIDIA-L4"), "nvidia.com/gpu"), std::int64_t{22} << 30);
  EXPECT_EQ(memory_of(product("NVIDIA-A100-PCIE-40GB"), "nvidia.com/gpu"), 40 * kGigabyte);
  EXPECT_EQ(memory_of(product("NVIDIA-GH200-480GB"), "nvidia.com/gpu"), std::int64_t{96} << 30);
  EXPECT_EQ(memory_of(product("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"), "nvidia.com/gpu"), 10 * kGigabyte);
  EXPECT_EQ(memory_of({}, "nvidia.com/mig-3g.40gb"), 40 * kGigabyte);
  EXPECT_EQ(memory_of({{"nvidia.com/gpu.memory", "24564"}}, "nvidia.com/gpu"), std::int64_t{24564} << 20);
  EXPECT_EQ(memory_of(product("NVIDIA-L4-SHARED"), "nvidia.com/gpu"), 0);
  EXPECT_EQ(memory_of(product("NVIDIA-L4"), "nvidia.com/gpu.shared"), 0);
  EXPECT_EQ(memory_of({}, "nvidia.com/gpu"), 0);
  EXPECT_EQ(memory_of({{"nvidia.com/gpu.memory", "99999999999999999999"}}, "nvidia.com/gpu"), 0);
}

TEST(Hardware, ListsOfClassesAreCompared) {
  EXPECT_EQ(class_list({"ampere", "ada"}), "ada, ampere");
  EXPECT_TRUE(lists_all("ada, ampere", "ampere"));
  EXPECT_TRUE(lists_all("ada, ampere", "ada, ampere"));
  EXPECT_FALSE(lists_all("ada", "ada, ampere"));
  EXPECT_FALSE(lists_all("blackwell-rtx", "blackwell"));
}

// What the schema lists is what the rules know: a typing error in a profile is refused, and no class is.
TEST(Matrix, TheSchemaOfProfilesKnowsAllHardware) {
  const auto crd = api::documents_from_yaml(
      read_file(std::string(STEPDOWN_SOURCE_DIR) + "/crds/engineprofiles.yaml"), "engineprofiles.yaml");
  const auto listed =
      crd.at(0)
          .at("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/support/items/properties/"
              "hardware/items/enum"_json_pointer)
          .get<std::set<std::string>>();
  for (const std::string& each : listed) EXPECT_TRUE(is_hardware(each)) << each;
  for (const Device& each : devices()) EXPECT_TRUE(listed.contains(std::string(each.hardware))) << each.name;
  for (const api::EngineProfile& profile : builtin_profiles()) {
    for (const api::Support& row : profile.spec.support) {
      for (const std::string& each : row.hardware) EXPECT_TRUE(listed.contains(each)) << each;
    }
  }
}

TEST(Version, ComparesNumberByNumber) {
  EXPECT_LT(compare_versions("0.9.2", "0.10.0"), 0);
  EXPECT_EQ(compare_versions("v1.2", "1.2.0"), 0);
  EXPECT_GT(compare_versions("b8643", "b6325"), 0);
  EXPECT_TRUE(version_within("0.8.4", ">=0.6 <0.9"));
  EXPECT_FALSE(version_within("0.9", ">=0.6 <0.9"));
  EXPECT_TRUE(version_within("1", ""));
  EXPECT_FALSE(version_within("1", "about 1"));
  EXPECT_TRUE(version_within("99999999999999999999999", ">1"));
}

TEST(Hardware, IsReadFromTheDevicePluginsResource) {
  const std::tuple<const char*, std::map<std::string, std::string>, const char*> cases[] = {
      {"nvidia.com/mig-1g.5gb", {}, "ampere"},
      {"nvidia.com/mig-1g.18gb", {}, "hopper"},
      {"nvidia.com/mig-1g.23gb", {}, "blackwell"},
      {"nvidia.com/mig-1g.24gb", {}, "blackwell-rtx"},
      {"nvidia.com/mig-1g.10gb", {}, "nvidia"},  // of A100 and H100
      {"nvidia.com/mig-1g.10gb", {{"nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"}}, "hopper"},
      {"nvidia.com/gpu.shared", {}, "nvidia"},
      {"habana.ai/gaudi", {}, "gaudi"},
  };
  for (const auto& [resource, labels, wanted] : cases)
    EXPECT_EQ(hardware_of(labels, resource), wanted) << resource;
}

}  // namespace
}  // namespace stepdown::compat
