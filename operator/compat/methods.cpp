#include "operator/compat/methods.h"

namespace stepdown::compat {
namespace {

// Bits: a block's bytes × 8 / its weights; mixed presets as llama.cpp reports them for Llama 3.1 8B.
constexpr Method kMethods[] = {
    {"gguf", "Q8_0", 8.5},
    {"gguf", "Q4_K_M", 4.89},
    {"gguf", "Q4_0", 4.66},
    {"gguf", "Q3_K_S", 3.64},
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
