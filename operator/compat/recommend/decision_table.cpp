#include "operator/compat/recommend/decision_table.h"

#include <algorithm>

namespace stepdown::compat {
namespace {

constexpr std::string_view kGguf[] = {"gguf/Q4_K_M", "gguf/Q5_K_M", "gguf/Q6_K", "gguf/Q8_0", "int8"};
constexpr std::string_view kNvidia[] = {"awq/4", "gptq/4", "fp8", "gptq/8", "int8"};
constexpr std::string_view kEightBits[] = {"fp8", "smoothquant"};
constexpr std::string_view kPortable[] = {"int8", "gguf/Q8_0"};

constexpr std::string_view kFp16OrInt8[] = {"fp16", "int8"};
constexpr std::string_view kFp16OrFp8[] = {"fp16", "fp8"};
constexpr std::string_view kFp8OrFp16[] = {"fp8", "fp16"};
constexpr std::string_view kFp16[] = {"fp16"};

constexpr Stack kOnCpu[] = {{"stepdown", kGguf, kFp16OrInt8}};
constexpr Stack kOnGpu[] = {{"vllm", kNvidia, kFp16OrFp8}, {"llama.cpp", kGguf, kFp16OrInt8}};
constexpr Stack kOnAmd[] = {
    {"vllm", kNvidia, kFp16OrFp8}, {"sglang", kNvidia, kFp16OrFp8}, {"llama.cpp", kGguf, kFp16OrInt8}};
constexpr Stack kForMany[] = {{"vllm", kEightBits, kFp8OrFp16}};
constexpr Stack kReference[] = {{"stepdown", kPortable, kFp16}};

constexpr std::string_view kNpus[] = {"npu"};
constexpr std::string_view kCpus[] = {"cpu", "apple"};
constexpr std::string_view kDataCenter[] = {"hopper", "blackwell"};
constexpr std::string_view kNvidias[] = {"nvidia"};
constexpr std::string_view kOthers[] = {"amd", "intel-gpu"};

constexpr Platform kPlatforms[] = {
    {"phone-npu", kNpus, 1, kReference,
     "use the vendor's SDK: a phone's NPU runs graphs that its vendor's toolchain compiled and calibrated "
     "(Qualcomm AI Hub, Core ML Tools, NeuroPilot), and no serving engine loads a quantized checkpoint "
     "there. Export the FP16 base with it. This manifest is the server side: the 8 bits that NPUs compute "
     "with, on CPUs, measured on your prompts, which the export is then compared with"},
    {"cpu-or-mac", kCpus, 1, kOnCpu,
     "on CPUs and Macs decoding is bound by memory bandwidth, and GGUF's k-quants are what their kernels "
     "unpack fastest; Q4_K_M is the smallest that rarely shows. Pods on a Mac run in a Linux machine on its "
     "cores: Metal is reached by llama.cpp outside of it alone"},
    {"h100-multi-tenant", kDataCenter, 16, kForMany,
     "with many tenants compute and the KV cache are the limit, not the weights: FP8 computes natively from "
     "Hopper on, and an FP8 cache holds about twice the sequences; 4-bit weights would save memory that is "
     "not short and cost time unpacking"},
    {"single-nvidia-gpu", kNvidias, 1, kOnGpu,
     "on one NVIDIA GPU the weights take most of the memory: AWQ at 4 bits keeps the channels that your "
     "prompts activate, and leaves the room to the KV cache; what the GPU has no kernels for is left out"},
    {"other-gpu", kOthers, 1, kOnAmd,
     "kernels decide on AMD and Intel GPUs: what upstream documents there is used, and GGUF by llama.cpp "
     "where nothing else is"},
};

constexpr Purpose kPurposes[] = {
    {"chat", 4, "[]",
     R"({"perplexity": {"maxDrop": 0.3}, "longContext": {"maxDrop": 0.3}, "latencyP99Ms": {"maxDrop": 500}})",
     "{}", false,
     "prose hides what 4 bits lose, so perplexity and long contexts are held against FP16 on your own "
     "prompts"},
    {"json", 4, R"([{"type": "jsonSchema", "schema": {"type": "object"}}, {"type": "exactMatch"}])",
     R"({"jsonPass": {"min": 0.95, "maxDrop": 0.01}, "fieldAccuracy": {"maxDrop": 0.02},
         "longContext": {"maxDrop": 0.3}, "latencyP99Ms": {"maxDrop": 500}})",
     "{}", false,
     "structured answers break below 4 bits: field names, quotes and numbers go first. Validity and the "
     "fields' values are measured apart, since a schema that decoding enforces says nothing of the values"},
    {"math", 6, R"([{"type": "arithmetic"}, {"type": "exactMatch"}])",
     R"({"arithmetic": {"maxDrop": 0.01}, "exactMatch": {"maxDrop": 0.01}, "longContext": {"maxDrop": 0.3},
         "latencyP99Ms": {"maxDrop": 500}})",
     "{}", false,
     "one wrong digit fails a calculation, so a mathematics evaluation that missed at 4 bits steps up: 6 and "
     "8 bits, and FP16 keeps serving if those miss as well"},
    {"audit", 8, R"([{"type": "citation"}, {"type": "refusal"}])",
     R"({"citation": {"maxDrop": 0.01}, "refusal": {"maxDrop": 0.01}, "longContext": {"maxDrop": 0.3},
         "latencyP99Ms": {"maxDrop": 500}})",
     R"({"steps": [{"weight": 5, "hold": "1h", "approval": true}, {"weight": 25, "hold": "24h", "approval": true},
                   {"weight": 100, "hold": "1h"}],
         "control": {"percent": 10}, "shadow": {"percent": 5}})",
     true,
     "what is regulated must be shown afterwards: the base pinned by its digest, 8 bits, citations and "
     "refusals held against FP16, a person's approval at each step, a random FP16 control of 10 %, and the "
     "QuantRevision as the record"},
};

}  // namespace

std::span<const Platform> platforms() {
  return kPlatforms;
}

std::span<const Purpose> purposes() {
  return kPurposes;
}

const Purpose* find_purpose(std::string_view name) {
  const auto* found = std::ranges::find(kPurposes, name, &Purpose::name);
  return found == std::end(kPurposes) ? nullptr : found;
}

}  // namespace stepdown::compat
