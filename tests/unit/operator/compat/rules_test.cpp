#include "operator/compat/rules.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "operator/compat/adapters.h"
#include "operator/compat/field_guide.h"
#include "operator/compat/memory_fit.h"
#include "operator/compat/methods.h"
#include "operator/compat/rule.h"

namespace stepdown::compat {
namespace {

api::QuantizedModelSpec good_spec() {
  api::QuantizedModelSpec spec;
  spec.model.source = "file:///models/base";
  spec.evaluation.dataset = "file:///data/eval.jsonl";
  spec.evaluation.slo["perplexity"].max_drop = 0.1;
  spec.quantization.candidates = {{"gguf", "Q4_K_M", {}, {}}};
  return spec;
}

Inventory good_inventory() {
  Inventory inventory;
  inventory.model = api::ModelFacts{.digest = "sha256:base",
                                    .format = "gguf",
                                    .architecture = "llama",
                                    .context_length = 4096,
                                    .size = 1000 << 20,
                                    .tokenizer_digest = "sha256:tokenizer",
                                    .template_digest = "sha256:template"};
  inventory.model->memory = {.weights = 1000 << 20,
                             .kv_per_token = 60 << 10,
                             .kv_heads = 8,
                             .head_dim = 128,
                             .activations = 10 << 20};
  return inventory;
}

/// A base that vLLM loads, AWQ of it, and what AWQ needs.
void awq_by_vllm(api::QuantizedModelSpec& spec, Inventory& inventory) {
  inventory.model->format = "safetensors";
  spec.serving.engine = "vllm";
  spec.quantization.candidates = {{"awq", "", 4, {}}};
  spec.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
}

/// A revision that good_inventory()'s base and good_spec() agree with.
api::QuantRevision recorded() {
  api::QuantRevision revision;
  revision.spec.base = {"sha256:base", "file:///models/base", "sha256:tokenizer", "sha256:template"};
  revision.spec.method = "gguf";
  revision.spec.preset = "Q4_K_M";
  revision.spec.tool_version = "0.1.0";
  revision.spec.evaluation = api::EvaluationRecord{.dataset = "file:///data/eval.jsonl", .kv_type = "fp16"};
  revision.spec.scores["perplexity"] = {.value = 8.1, .baseline = 8.0};
  return revision;
}

/// A revision that holds `merged`, for a spec that names one adapter at whose place `lies_there` is.
void promote_merged(api::QuantizedModelSpec& spec, Inventory& inventory, const api::MergedAdapter& merged,
                    const std::string& lies_there) {
  spec.quantization.candidates.clear();
  spec.quantization.from_revision = "r";
  spec.model.adapters = {{"pvc://m/lora", 1}};
  inventory.model->format = "safetensors";
  inventory.from_revision = recorded();
  inventory.from_revision->spec.adapters = {merged};
  inventory.model->adapters = adapters_text(spec.model);
  inventory.model->adapters_digest = adapters_digest({lies_there});
}

struct RuleCase {
  const char* name;
  std::function<void(api::QuantizedModelSpec&, Inventory&)> change;
  std::vector<std::string> found;  ///< "id severity path"
};

std::vector<RuleCase> fault_cases() {
  return {
      {"nothing wrong", [](auto&, auto&) {}, {}},
      {"a source of no kind",
       [](auto& s, auto&) { s.model.source = "http://models/llama"; },
       {"SD001 error spec.model.source"}},
      {"a source that is fetched, with room",
       [](auto& s, auto&) {
         s.model.source = "s3://b/m";
         s.model.adapters = {};
         s.storage.size = "20Gi";
       },
       {}},
      {"a source that is fetched, without room",
       [](auto& s, auto&) { s.evaluation.dataset = "hf://datasets/org/prompts/eval.jsonl"; },
       {"SD073 error spec.evaluation.dataset"}},
      {"a node cache that FP16 fits into",
       [](auto& s, auto& i) {
         i.model->size = 10'000;
         s.storage.node_cache = {"disks", "10k"};
       },
       {}},
      {"a node cache that FP16 does not fit into",
       [](auto& s, auto& i) {
         i.model->size = 10'001;
         s.storage.node_cache = {"disks", "10k"};
       },
       {"SD074 warning spec.storage.nodeCache.size"}},
      {"sources that nobody can fetch",
       [](auto& s, auto&) {
         s.model.source = "hf://llama";
         s.evaluation.dataset = "s3://b/x?zone=1";
         s.quantization.imatrix = "oci://r/Upper:1";
         s.storage.claim_name = "c";
       },
       {"SD001 error spec.model.source", "SD001 error spec.evaluation.dataset",
        "SD001 error spec.quantization.imatrix"}},
      {"escaping source",
       [](auto& s, auto&) { s.model.source = "file:///a/../etc"; },
       {"SD001 error spec.model.source"}},
      {"dataset",
       [](auto& s, auto&) { s.evaluation.dataset = "eval.jsonl"; },
       {"SD001 error spec.evaluation.dataset"}},
      {"method",
       [](auto& s, auto&) {
         s.quantization.candidates.push_back({"gguf", "Q9", {}, {}});
       },
       {"SD002 error spec.quantization.candidates[1]"}},
      {"adapters of a GGUF base",
       [](auto& s, auto&) {
         s.model.adapters = {{"file:///a", 1}};
       },
       {"SD003 error spec.model.adapters"}},
      {"adapters that Jobs and the engine merge",
       [](auto& s, auto& i) {
         i.model->format = "safetensors";
         s.model.adapters = {{"file:///a", 1}};
       },
       {}},
      {"adapters that another engine would serve unmerged",
       [](auto& s, auto& i) {
         i.model->format = "safetensors";
         s.serving.engine = "sglang";
         s.quantization.candidates = {{"int8", "", {}, {}}};
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu"};
         s.model.adapters = {{"file:///a", 1}};
       },
       {"SD003 error spec.model.adapters"}},
      {"no fallback",
       [](auto& s, auto&) { s.rollout.fallback.replicas = 0; },
       {"SD004 error spec.rollout.fallback.replicas"}},
      {"no memory for FP16",
       [](auto& s, auto&) { s.serving.hardware = api::HardwareSpec{.memory = "1000Mi"}; },
       {"SD005 error spec.serving.hardware.memory", "SD005 warning spec.quantization.candidates[0]"}},
      {"memory for two of four FP16 sequences",
       [](auto& s, auto&) { s.serving.hardware = api::HardwareSpec{.memory = "1600Mi"}; },
       {"SD005 warning spec.serving.concurrency"}},
      {"candidate too large",
       [](auto& s, auto&) {
         s.serving.hardware = api::HardwareSpec{.memory = "1600Mi"};
         s.serving.concurrency = 64;
       },
       {"SD005 warning spec.serving.concurrency", "SD005 warning spec.quantization.candidates[0]"}},
      {"context",
       [](auto& s, auto&) { s.serving.context_length = 8192; },
       {"SD006 error spec.serving.contextLength", "SD027 warning spec.serving.hardware.memory"}},
      {"3 bits with a schema",
       [](auto& s, auto&) {
         s.quantization.candidates = {{"gguf", "Q3_K_S", {}, {}}};
         s.evaluation.suites = {{R"({"type":"jsonSchema"})"}};
       },
       {"SD007 warning spec.quantization.candidates[0]", "SD029 warning spec.quantization.candidates"}},
      {"int8 KV", [](auto& s, auto&) { s.kv_cache.type = "int8"; }, {"SD008 warning spec.kvCache.type"}},
      {"int4 KV", [](auto& s, auto&) { s.kv_cache.type = "int4"; }, {"SD008 warning spec.kvCache.type"}},
      {"int4 KV on GPUs",
       [](auto& s, auto&) {
         s.kv_cache.type = "int4";
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu", .memory = "24Gi"};
       },
       {"SD008 warning spec.kvCache.type", "SD019 warning spec.quantization.candidates[0]",
        "SD019 warning spec.serving.engine"}},
      {"fallback on CPUs", [](auto& s, auto&) { s.rollout.fallback.placement = "cpu"; }, {}},
      {"fallback on CPUs instead of GPUs",
       [](auto& s, auto& i) {
         i.model.reset();
         s.rollout.fallback.placement = "cpu";
         s.serving.engine = "vllm";
         s.quantization.candidates = {{"awq", "", 4, {}}};
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu", .memory = "24Gi"};
       },
       {"SD071 warning spec.rollout.fallback.placement"}},
      {"fallback on CPUs of what only others run",
       [](auto& s, auto& i) {
         s.rollout.fallback.placement = "cpu";
         s.serving.engine = "llama.cpp";
         i.model->architecture = "command-r";
       },
       {"SD061 error spec.quantization.candidates[0]", "SD070 error spec.rollout.fallback.placement"}},
      {"cold fallback",
       [](auto& s, auto&) { s.rollout.fallback = {.replicas = 0, .residency = "onDemand"}; },
       {"SD072 warning spec.rollout.fallback.residency"}},
      {"pin differs",
       [](auto& s, auto&) { s.model.revision = "sha256:other"; },
       {"SD011 error spec.model.revision"}},
      {"revision of another base",
       [](auto&, auto& i) {
         i.from_revision = recorded();
         i.from_revision->spec.base.digest = "sha256:other";
       },
       {"SD011 error spec.quantization.fromRevision"}},
      {"no dataset",
       [](auto& s, auto&) { s.evaluation.dataset = ""; },
       {"SD012 warning spec.evaluation.dataset"}},
      {"falling weights",
       [](auto& s, auto&) {
         s.rollout.steps = {{25, "1s"}, {5, "1s"}};
       },
       {"SD013 error spec.rollout.steps[1].weight"}},
      {"hold",
       [](auto& s, auto&) {
         s.rollout.steps = {{25, "soon"}};
       },
       {"SD013 error spec.rollout.steps[0].hold"}},
      {"metric",
       [](auto& s, auto&) { s.evaluation.slo["jsonpass"].min = 0.9; },
       {"SD014 error spec.evaluation.slo[jsonpass]"}},
      {"engine without gguf",
       [](auto& s, auto& i) {
         s.serving.engine = "own";
         i.profile.emplace();
         i.profile->spec.formats = {"awq", "safetensors"};
         i.profile->spec.image = "own:1";
       },
       {"SD015 error spec.quantization.candidates[0]", "SD015 error spec.serving.engine"}},
      {"GGUF base, AWQ candidate",
       [](auto& s, auto&) {
         s.quantization.candidates = {{"awq", "", 4, {}}};
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
       },
       {"SD018 error spec.quantization.candidates[0]"}},
      {"GGUF beside AWQ in vLLM",
       [](auto& s, auto& i) {
         i.model.reset();
         s.serving.engine = "vllm";
         s.quantization.candidates = {{"gguf", "Q4_K_M", {}, {}}, {"awq", "", 4, {}}};
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu",
                                                .node_selector = {{"nvidia.com/gpu.product", "NVIDIA-L4"}}};
       },
       {"SD018 warning spec.quantization.candidates", "SD019 warning spec.quantization.candidates[0]"}},
      {"AWQ in llama.cpp",
       [](auto& s, auto& i) {
         i.model->format = "safetensors";
         s.serving.engine = "llama.cpp";
         s.quantization.candidates = {{"awq", "", 4, {}}};
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
       },
       {"SD015 error spec.quantization.candidates[0]", "SD015 error spec.serving.engine"}},
      {"base of AWQ weights",
       [](auto&, auto& i) { i.model->format = "awq"; },
       {"SD044 error spec.model.source"}},
      {"tokenizer changed",
       [](auto& s, auto& i) {
         s.quantization.candidates.clear();
         s.quantization.from_revision = "r";
         i.from_revision = recorded();
         i.from_revision->spec.base.tokenizer_digest = "sha256:other";
       },
       {"SD020 error spec.quantization.fromRevision"}},
      {"chat template changed",
       [](auto& s, auto& i) {
         s.quantization.candidates.clear();
         s.quantization.from_revision = "r";
         i.from_revision = recorded();
         i.from_revision->spec.base.template_digest = "sha256:other";
       },
       {"SD020 error spec.quantization.fromRevision"}},
      {"evaluated with another cache, context, engine and hardware",
       [](auto& s, auto& i) {
         s.quantization.candidates.clear();
         s.quantization.from_revision = "r";
         s.serving.context_length = 4096;
         i.from_revision = recorded();
         i.from_revision->spec.evaluation = api::EvaluationRecord{.dataset = "file:///data/eval.jsonl",
                                                                  .kv_type = "int8",
                                                                  .context_length = 2048,
                                                                  .engine = "vllm",
                                                                  .hardware = "nvidia.com/gpu"};
       },
       {"SD024 error spec.kvCache.type", "SD024 error spec.serving.engine",
        "SD024 error spec.serving.hardware.accelerator", "SD024 error spec.serving.contextLength"}},
      {"never evaluated",
       [](auto& s, auto& i) {
         s.quantization.candidates.clear();
         s.quantization.from_revision = "r";
         i.from_revision = recorded();
         i.from_revision->spec.evaluation.reset();
       },
       {"SD059 warning spec.quantization.fromRevision"}},
      {"record with gaps",
       [](auto& s, auto& i) {
         s.quantization.candidates.clear();
         s.quantization.from_revision = "r";
         i.from_revision = recorded();
         i.from_revision->spec.tool_version.clear();
       },
       {"SD050 warning spec.quantization.fromRevision"}},
      {"merged adapters",
       [](auto& s, auto& i) {
         s.quantization.candidates.clear();
         s.quantization.from_revision = "r";
         i.from_revision = recorded();
         i.from_revision->spec.adapters = {{"sha256:a", 1}};
       },
       {"SD060 error spec.model.adapters"}},
      {"an adapter merged with another weight",
       [](auto& s, auto& i) {
         promote_merged(s, i, {"sha256:a", 0.5}, "sha256:a");
       },
       {"SD060 error spec.model.adapters[0].weight"}},
      {"another adapter of the same place",
       [](auto& s, auto& i) {
         promote_merged(s, i, {"sha256:a", 1}, "sha256:b");
       },
       {"SD060 error spec.model.adapters"}},
      {"the adapters of the record",
       [](auto& s, auto& i) {
         promote_merged(s, i, {"sha256:a", 1}, "sha256:a");
       },
       {}},
      {"calibrated on Wikipedia",
       [](auto& s, auto&) {
         s.quantization.calibration = api::CalibrationSpec{"pvc://d/WikiText.jsonl", 512};
       },
       {"SD021 warning spec.quantization.calibration.source"}},
      {"a word that only ends so",
       [](auto& s, auto&) {
         s.quantization.calibration = api::CalibrationSpec{"pvc://disc4/prompts.jsonl", 512};
       },
       {}},
      {"GPTQ without calibration",
       [](auto& s, auto& i) {
         i.model->format = "safetensors";
         s.quantization.candidates = {{"gptq", "", 4, {}}};
       },
       {"SD022 warning spec.quantization.candidates[0]"}},
      {"multiple choice",
       [](auto& s, auto&) { s.evaluation.dataset = "pvc://data/mmlu.jsonl"; },
       {"SD023 warning spec.evaluation.suites"}},
      {"FP16 speaks nonsense",
       [](auto&, auto& i) {
         i.baseline = api::Metrics{{"perplexity", {.value = 50000}}};
       },
       {"SD025 error spec.model.source"}},
      {"FP16 misses the limit",
       [](auto& s, auto& i) {
         s.evaluation.suites = {{R"({"type":"jsonSchema"})"}};
         s.evaluation.slo["jsonPass"].min = 0.95;
         i.baseline = api::Metrics{{"jsonPass", {.value = 0.5}}};
       },
       {"SD025 warning spec.evaluation.slo[jsonPass]"}},
      {"NPU",
       [](auto& s, auto&) {
         s.serving.hardware = api::HardwareSpec{.accelerator = "qualcomm.com/hexagon-npu"};
       },
       {"SD026 error spec.serving.hardware.accelerator", "SD040 warning spec.quantization.candidates[0]",
        "SD040 warning spec.serving.engine"}},
      {"cache outweighs weights",
       [](auto& s, auto&) {
         s.serving.context_length = 4096;
         s.serving.concurrency = 8;
       },
       {"SD027 warning spec.serving.hardware.memory"}},
      {"two bits alone",
       [](auto& s, auto&) {
         s.quantization.candidates = {{"gguf", "Q2_K", {}, {}}};
       },
       {"SD029 warning spec.quantization.candidates"}},
      {"no limits", [](auto& s, auto&) { s.evaluation.slo.clear(); }, {"SD030 warning spec.evaluation.slo"}},
      {"production logs",
       [](auto& s, auto&) {
         s.quantization.calibration = api::CalibrationSpec{"pvc://data/prod-logs.jsonl", 512};
       },
       {"SD032 warning spec.quantization.calibration.source"}},
      {"redacted logs",
       [](auto& s, auto&) {
         s.quantization.calibration = api::CalibrationSpec{"pvc://data/prod-logs-redacted.jsonl", 512};
       },
       {}},
      {"calibrated on the exam",
       [](auto& s, auto&) {
         s.quantization.calibration = api::CalibrationSpec{s.evaluation.dataset, 512};
       },
       {"SD036 warning spec.quantization.calibration.source"}},
      {"eight prompts",
       [](auto& s, auto&) {
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 8};
       },
       {"SD038 warning spec.quantization.calibration.samples"}},
      {"ternary by rounding",
       [](auto& s, auto&) {
         s.quantization.candidates.push_back({"gguf", "TQ1_0", {}, {}});
       },
       {"SD039 error spec.quantization.candidates[1]"}},
      {"AWQ at 3 bits",
       [](auto& s, auto& i) {
         i.model->format = "safetensors";
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
         s.quantization.candidates.push_back({"awq", "", 3, 100});
       },
       {"SD002 error spec.quantization.candidates[1]", "SD043 error spec.quantization.candidates[1].bits",
        "SD043 error spec.quantization.candidates[1].groupSize"}},
      {"engine that nobody knows",
       [](auto& s, auto&) { s.serving.engine = "own"; },
       {"SD041 warning spec.serving.engine"}},
      {"Ollama cannot be deployed",
       [](auto& s, auto&) { s.serving.engine = "ollama"; },
       {"SD042 error spec.serving.engine"}},
      {"a CUDA image on an Intel GPU",
       [](auto& s, auto& i) {
         i.model->format = "safetensors";
         s.serving.engine = "vllm";
         s.serving.hardware = api::HardwareSpec{.accelerator = "gpu.intel.com/i915"};
         s.quantization.candidates = {{"awq", "", 4, {}}};
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
       },
       {"SD042 error spec.serving.engine"}},
      {"an architecture that cannot be quantized",
       [](auto&, auto& i) { i.model->architecture = "command-r"; },
       {"SD049 error spec.serving.engine", "SD061 error spec.quantization.candidates[0]"}},
      {"an architecture that can be", [](auto&, auto& i) { i.model->architecture = "qwen3moe"; }, {}},
      {"an architecture that is not trained",
       [](auto& s, auto& i) {
         i.model->architecture = "qwen3";
         i.model->format = "safetensors";
         s.quantization.qat.enabled = true;
         s.quantization.candidates = {{"gguf", "Q8_0", {}, {}}, {"qat", "", 4, {}}};
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
       },
       {"SD061 error spec.quantization.candidates[1]"}},
      {"an architecture that the engine does not run",
       [](auto& s, auto& i) {
         s.serving.engine = "own";
         i.profile.emplace();
         i.profile->spec.image = "own:1";
         i.profile->spec.formats = {"gguf"};
         i.profile->spec.support = {{.architectures = {"qwen3"}}};
       },
       {"SD049 error spec.serving.engine"}},
      {"unknown cache",
       [](auto&, auto& i) { i.model->memory.kv_per_token = 0; },
       {"SD045 error spec.model.source"}},
      {"no node",
       [](auto& s, auto& i) {
         s.serving.hardware = api::HardwareSpec{.node_selector = {{"pool", "gpu"}}};
         i.nodes = std::vector<Node>{{"a", {{"pool", "cpu"}}, {}}};
       },
       {"SD046 warning spec.serving.hardware"}},
      {"V100 and A100 in one pool",
       [](auto& s, auto& i) {
         i.model.reset();
         s.serving.engine = "vllm";
         s.quantization.candidates = {{"awq", "", 4, {}}};
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu"};
         i.nodes = std::vector<Node>{
             {"a", {{"nvidia.com/gpu.product", "Tesla-V100-SXM2-32GB"}}, {{"nvidia.com/gpu", "8"}}},
             {"b", {{"nvidia.com/gpu.product", "NVIDIA-A100-SXM4-80GB"}}, {{"nvidia.com/gpu", "8"}}}};
       },
       {"SD047 warning spec.serving.hardware.nodeSelector"}},
      {"more GPUs than a node has, and too few for both",
       [](auto& s, auto& i) {
         i.model.reset();
         s.serving.engine = "vllm";
         s.quantization.candidates = {{"awq", "", 4, {}}};
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 4};
         i.nodes = std::vector<Node>{
             {"b", {{"nvidia.com/gpu.product", "NVIDIA-A100-SXM4-80GB"}}, {{"nvidia.com/gpu", "4"}}}};
       },
       {"SD028 warning spec.rollout.fallback.placement"}},
      {"beyond one node",
       [](auto& s, auto& i) {
         i.model.reset();
         s.serving.engine = "vllm";
         s.quantization.candidates = {{"awq", "", 4, {}}};
         s.quantization.calibration = api::CalibrationSpec{"file:///data/prompts.jsonl", 512};
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 16};
         i.nodes = std::vector<Node>{
             {"b", {{"nvidia.com/gpu.product", "NVIDIA-A100-SXM4-80GB"}}, {{"nvidia.com/gpu", "8"}}}};
       },
       {"SD048 warning spec.serving.hardware.count"}},
      {"training that nobody allowed",
       [](auto& s, auto&) {
         s.quantization.candidates = {{"qat", "", 3, {}}};
       },
       {"SD018 error spec.quantization.candidates[0]", "SD022 warning spec.quantization.candidates[0]",
        "SD029 warning spec.quantization.candidates", "SD065 error spec.quantization.candidates[0]"}},
      {"llama.cpp over two nodes",
       [](auto& s, auto&) {
         s.serving.engine = "llama.cpp";
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 8, .nodes = 2};
       },
       {"SD064 error spec.serving.hardware.nodes"}},
      {"a copy that differs from its record",
       [](auto& s, auto& i) {
         s.quantization.candidates.clear();
         s.quantization.from_revision = "r";
         i.from_revision = recorded();
         i.from_revision->spec.artifact = {"pvc://artifacts/r", "sha256:artifact", {}};
         i.artifact = api::ModelFacts{.digest = "sha256:copy"};
       },
       {"SD063 error spec.quantization.fromRevision"}},
      {"heads over three GPUs",
       [](auto& s, auto& i) {
         awq_by_vllm(s, i);
         s.serving.hardware =
             api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 3, .memory = "72Gi"};
       },
       {"SD051 error spec.serving.hardware.count"}},
      {"attention heads over three GPUs",
       [](auto& s, auto& i) {
         i.model->format = "safetensors";
         i.model->attention_heads = 32;
         i.model->memory.kv_heads = 3;
         s.serving.engine = "vllm";
         s.quantization.candidates = {{"fp8", "", {}, {}}};
         s.serving.hardware =
             api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 3, .memory = "72Gi"};
       },
       {"SD051 error spec.serving.hardware.count"}},
      {"groups that two GPUs would cut",
       [](auto& s, auto& i) {
         awq_by_vllm(s, i);
         i.model->intermediate_size = 29568;  // Qwen2.5 72B: vllm-project/vllm issue 21695
         s.serving.hardware =
             api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 2, .memory = "72Gi"};
       },
       {"SD067 error spec.quantization.candidates[0]"}},
      {"groups of the padded model over eight GPUs",
       [](auto& s, auto& i) {
         awq_by_vllm(s, i);
         i.model->intermediate_size = 29696;
         s.serving.hardware =
             api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 8, .memory = "72Gi"};
       },
       {}},
      {"a GPU that nobody here knows",
       [](auto& s, auto& i) {
         awq_by_vllm(s, i);
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu",
                                                .memory = "72Gi",
                                                .node_selector = {{"nvidia.com/gpu.product", "NVIDIA-X1"}}};
       },
       {"SD068 warning spec.serving.hardware"}},
      {"more than the GPU that the selector names has",
       [](auto& s, auto& i) {
         awq_by_vllm(s, i);
         i.model->memory.weights = i.model->size = std::int64_t{30} << 30;
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu",
                                                .node_selector = {{"nvidia.com/gpu.product", "NVIDIA-L4"}}};
       },
       {"SD005 error spec.serving.hardware.memory"}},
      {"more memory stated than there is",
       [](auto& s, auto& i) {
         awq_by_vllm(s, i);
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu",
                                                .memory = "80Gi",
                                                .node_selector = {{"nvidia.com/gpu.product", "NVIDIA-L4"}}};
       },
       {"SD069 warning spec.serving.hardware.memory"}},
      {"a GGUF base of four bits",
       [](auto&, auto& i) { i.model->parameters = i.model->memory.weights * 8 / 5; },
       {"SD044 warning spec.model.source"}},
      {"redacted by the Job",
       [](auto& s, auto&) {
         s.quantization.calibration = api::CalibrationSpec{"pvc://logs/prod.jsonl", 512};
         s.quantization.calibration->redact = {"email"};
       },
       {}},
      {"a name that only begins like logs",
       [](auto& s, auto&) {
         s.quantization.calibration = api::CalibrationSpec{"pvc://logistics/product-manuals.jsonl", 512};
       },
       {}},
      {"a suite that quotes another's name",
       [](auto& s, auto&) {
         s.evaluation.suites = {{R"({"type":"exactMatch","field":"jsonSchema"})"}};
         s.evaluation.slo["jsonPass"].min = 0.9;
       },
       {"SD054 error spec.evaluation.slo[jsonPass]"}},
      {"a quantized base by its publisher's name",
       [](auto& s, auto& i) {
         i.model.reset();
         s.model.source = "file:///models/Llama-3.1-8B-quantized.w4a16";
       },
       {"SD044 warning spec.model.source"}},
      {"layers over three GPUs",
       [](auto& s, auto&) {
         s.serving.engine = "llama.cpp";
         s.serving.hardware =
             api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 3, .memory = "72Gi"};
       },
       {}},
      {"no accelerators at all, which a CRD refuses first",
       [](auto& s, auto& i) {
         s.serving.engine = "llama.cpp";
         s.serving.hardware = api::HardwareSpec{.accelerator = "nvidia.com/gpu", .count = 0};
         i.nodes = {{.name = "n", .labels = {}, .allocatable = {{"nvidia.com/gpu", "4"}}}};
       },
       {}},
      {"loose attention limit",
       [](auto& s, auto&) {
         s.kv_cache.type = "int8";
         s.kv_cache.max_attention_error = 0.5;
       },
       {"SD053 warning spec.kvCache.maxAttentionError"}},
      {"usual attention limit of four bits",
       [](auto& s, auto&) {
         s.kv_cache.type = "int4";
         s.kv_cache.max_attention_error = 0.2;
       },
       {}},
      {"limit without its suite",
       [](auto& s, auto&) { s.evaluation.slo["citation"].min = 0.9; },
       {"SD054 error spec.evaluation.slo[citation]"}},
      {"needles of both kinds, each with its limit",
       [](auto& s, auto&) {
         s.evaluation.suites = {{R"({"type":"retrieval"})"}, {R"({"type":"retrieval","keys":4})"}};
         s.evaluation.slo["retrieval"].min = s.evaluation.slo["multiKeyRetrieval"].min = 0.9;
       },
       {}},
      {"a limit on one needle of a suite with many",
       [](auto& s, auto&) {
         s.evaluation.suites = {{R"({"type":"retrieval","keys":4})"}};
         s.evaluation.slo["retrieval"].min = 0.9;
       },
       {"SD054 error spec.evaluation.slo[retrieval]"}},
      {"a limit on many needles of a suite with one",
       [](auto& s, auto&) {
         s.evaluation.suites = {{R"({"type":"retrieval","keys":1})"}};
         s.evaluation.slo["multiKeyRetrieval"].min = 0.9;
       },
       {"SD054 error spec.evaluation.slo[multiKeyRetrieval]"}},
      {"percent for a share",
       [](auto& s, auto&) {
         s.evaluation.suites = {{R"({"type":"jsonSchema"})"}};
         s.evaluation.slo["jsonPass"].min = 95;
       },
       {"SD055 error spec.evaluation.slo[jsonPass]"}},
      {"no canary",
       [](auto& s, auto&) {
         s.rollout.steps = {{100, "0s"}};
       },
       {"SD056 warning spec.rollout.steps[0].weight", "SD056 warning spec.rollout.steps"}},
      {"rollback by half",
       [](auto& s, auto&) { s.rollout.rollback.max_error_rate = 0.5; },
       {"SD058 warning spec.rollout.rollback.maxErrorRate"}},
  };
}

/// Good practice that is missing: told beside any other finding.
std::vector<RuleCase> note_cases() {
  return {
      {"one candidate", [](auto&, auto&) {}, {"SD033 note spec.quantization.candidates"}},
      {"no limit against FP16",
       [](auto& s, auto&) { s.evaluation.slo["perplexity"] = {.max = 10}; },
       {"SD031 note spec.evaluation.slo"}},
      {"no load test", [](auto&, auto&) {}, {"SD034 note spec.evaluation.slo"}},
      {"base not pinned", [](auto&, auto&) {}, {"SD035 note spec.model.revision"}},
      {"never at full traffic",
       [](auto& s, auto&) {
         s.rollout.steps = {{5, "60s"}, {25, "60s"}};
       },
       {"SD057 note spec.rollout.steps[1].weight"}},
  };
}

std::vector<Finding> judged(const RuleCase& test) {
  api::QuantizedModelSpec spec = good_spec();
  Inventory inventory = good_inventory();
  test.change(spec, inventory);
  return judge(spec, inventory);
}

std::string line(const Finding& finding) {
  return finding.id + " " + std::string(severity_name(finding.severity)) + " " + finding.path;
}

TEST(Judge, FindsEachFaultAtItsPath) {
  for (const RuleCase& test : fault_cases()) {
    std::vector<std::string> found;
    for (const Finding& each : judged(test)) {
      EXPECT_FALSE(each.message.empty() || each.mend.empty()) << test.name;
      if (each.severity != Severity::kNote) found.push_back(line(each));
    }
    EXPECT_EQ(found, test.found) << test.name;
  }
}

TEST(Judge, NamesTheMetricThatASuiteOfNeedlesHas) {
  const auto found = [](const char* suites, const char* metric) {
    api::QuantizedModelSpec spec = good_spec();
    spec.evaluation.suites.clear();
    if (*suites != 0) spec.evaluation.suites = {{suites}};
    spec.evaluation.slo[metric].min = 0.9;
    for (const Finding& each : judge(spec, good_inventory()))
      if (each.id == "SD054") return each.message + "; " + each.mend;
    return std::string();
  };
  EXPECT_THAT(
      found(R"({"type":"retrieval","keys":4})", "retrieval"),
      testing::HasSubstr("several keys, which are measured as multiKeyRetrieval; limit multiKeyRetrieval"));
  EXPECT_THAT(found(R"({"type":"retrieval"})", "multiKeyRetrieval"),
              testing::HasSubstr("one key, which is measured as retrieval; limit retrieval"));
  EXPECT_THAT(found("", "multiKeyRetrieval"), testing::HasSubstr("add {type: retrieval, keys: 4}"));
  EXPECT_THAT(found("", "retrieval"), testing::HasSubstr("add {type: retrieval} "));
}

TEST(Judge, NotesWhatIsMissing) {
  for (const RuleCase& test : note_cases()) {
    std::vector<std::string> found;
    for (const Finding& each : judged(test)) found.push_back(line(each));
    for (const std::string& wanted : test.found) EXPECT_THAT(found, testing::Contains(wanted)) << test.name;
  }
}

/// Ids that this file's cases or the cited ones expect.
std::set<std::string> ids_with_a_case() {
  std::set<std::string> ids;
  for (const auto& cases : {fault_cases(), note_cases()}) {
    for (const RuleCase& test : cases) {
      for (const std::string& each : test.found) ids.insert(each.substr(0, 5));
    }
  }
  const std::string cited =
      read_file(std::string(STEPDOWN_SOURCE_DIR) + "/tests/unit/operator/compat/upstream_cases.tsv");
  for (auto at = cited.find("SD0"); at != std::string::npos; at = cited.find("SD0", at + 1)) {
    ids.insert(cited.substr(at, 5));
  }
  return ids;
}

TEST(RuleTable, EveryRuleHasACase) {
  auto tested = ids_with_a_case();
  tested.emplace(kUnreadable);  // tests/unit/operator/cli/documents_test.cpp
  for (const Rule* rule : rule_table()) EXPECT_TRUE(tested.contains(std::string(rule->id))) << rule->id;
}

TEST(FieldGuide, EveryPitfallAndChecklistItemHasItsRules) {
  EXPECT_EQ(pitfalls().size(), 8U);
  EXPECT_EQ(checklist().size(), 10U);
  std::set<std::string_view> known;
  for (const Rule* rule : rule_table()) known.insert(rule->id);
  for (const auto concerns : {pitfalls(), checklist()}) {
    for (const Concern& concern : concerns) {
      EXPECT_FALSE(concern.rules[0].empty()) << concern.name;
      for (const std::string_view id : concern.rules) EXPECT_TRUE(id.empty() || known.contains(id)) << id;
    }
  }
}

TEST(Judge, IsSilentAboutFactsNotYetKnown) {
  EXPECT_TRUE(std::ranges::none_of(judge(good_spec(), {}),
                                   [](const Finding& each) { return each.severity != Severity::kNote; }));
}

TEST(RuleTable, EveryRowIsWholeAndEveryIdIsItsOwn) {
  std::set<std::string_view> ids;
  for (const Rule* rule : rule_table()) {
    EXPECT_TRUE(ids.insert(rule->id).second) << rule->id;
    EXPECT_TRUE(rule->id.size() == 5 && rule->id.starts_with("SD")) << rule->id;
    EXPECT_FALSE(rule->title.empty() || rule->why.empty() || rule->example.empty() || rule->mend.empty())
        << rule->id;
  }
}

TEST(SequencesThatFit, StaysWithinAskedAndMemory) {
  api::QuantizedModelSpec spec = good_spec();
  const Footprint footprint{100, 10, 5, 0};
  EXPECT_EQ(sequences_that_fit(spec, footprint), 4);
  const std::pair<const char*, std::int64_t> cases[] = {{"104", 0}, {"115", 1}, {"134", 2}, {"1Gi", 4}};
  for (const auto& [memory, sequences] : cases) {
    spec.serving.hardware = api::HardwareSpec{.memory = memory};
    EXPECT_EQ(sequences_that_fit(spec, footprint), sequences) << memory;
  }
}

TEST(PredictedBytes, EmbeddingsAreASmallerShareOfALargerModel) {
  const Method* awq = find_method({.method = "awq", .preset = "", .bits = 4, .budget = {}});
  ASSERT_NE(awq, nullptr);
  // Weights, and what AWQ in groups of 128 makes of them with embeddings and head at 16 bits, in GB.
  for (const auto& [weights, size] :
       std::map<double, double>{{2.61e9, 2.25}, {8.03e9, 5.72}, {32.8e9, 19.3}, {70.6e9, 39.8}}) {
    const auto predicted = static_cast<double>(predicted_bytes(*awq, static_cast<std::int64_t>(weights * 2)));
    EXPECT_NEAR(predicted / 1e9, size, size * 0.06) << weights;
  }
}

// A base in 32 bits: its candidates are of its weights, not of its bytes, and vLLM serves it in 16.
TEST(MemoryFit, AnF32BaseCountsByItsParameters) {
  api::QuantizedModelSpec spec = good_spec();
  api::ModelFacts model = *good_inventory().model;
  model.format = "safetensors";
  const auto half = predicted_size(spec.quantization.candidates[0], model);
  model.parameters = model.memory.weights / 4;
  EXPECT_EQ(*predicted_size(spec.quantization.candidates[0], model), *half / 2);
  EXPECT_EQ(footprint(spec, model, model.size, "fp16").weights, model.memory.weights);
  spec.serving.engine = "vllm";
  EXPECT_EQ(footprint(spec, model, model.size, "fp16").weights, model.memory.weights / 2);
}

}  // namespace
}  // namespace stepdown::compat
