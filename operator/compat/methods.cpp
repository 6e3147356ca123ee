#include "operator/compat/methods.h"

namespace stepdown::compat {
namespace {

// Bits: a block's bytes × 8 / its weights; mixed presets as llama.cpp reports them for Llama 3.1 8B.
constexpr Method kMethods[] = {
    {"gguf", "Q8_0", 8.5},
    {"gguf", "Q4_K_M", 4.89},
    {"gguf", "Q4_0", 4.66},
    {"gguf", "Q3_K_S", 3.64},
    {"gguf", "Q6_K", 6.56},
    {"gguf", "Q5_K_M", 5.70},
    {"gguf", "Q5_K_S", 5.57},
    {"gguf", "Q5_1", 6.0},
    {"gguf", "Q5_0", 5.5},
    {"gguf", "Q4_K_S", 4.67},
    {"gguf", "Q4_1", 5.0},
    {"gguf", "IQ4_NL", 4.68},
    {"gguf", "IQ4_XS", 4.46},
    {"gguf", "Q3_K_L", 4.30},
    {"gguf", "Q3_K_M", 4.00},
    {"gguf", "Q2_K", 3.16},
    // Groups of 128 share a binary16 scale and a zero; the embeddings stay F16 beside them.
    {"int8", "", 8.13},
    {"int4", "", 4.13},
    {"gptq", "", 4.16},
    {"awq", "", 4.16},
    {"nf4", "", 4.13},
    {"fp8", "", 8.01},
    {"smoothquant", "", 8.01},
};

}  // namespace

std::span<const Method> methods() {
  return kMethods;
}

const Method* find_method(const api::CandidateSpec& candidate) {
  for (const Method& each : kMethods) {
    if (each.method == candidate.method && each.preset == candidate.preset) return &each;
  }
  return nullptr;
}

}  // namespace stepdown::compat
