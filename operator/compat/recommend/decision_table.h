#pragma once

#include <cstdint>
#include <span>
#include <string_view>

/// What people ask before they quantize, and the answer to each: rows by where it runs, and rows by what it
/// must still do. A recommendation takes one of each; operator/compat's rules then strike what cannot be.
namespace stepdown::compat {

/// An engine, and what it would serve.
struct Stack {
  std::string_view engine;
  std::span<const std::string_view> candidates;  ///< "awq/4", "gguf/Q4_K_M": best first
  std::span<const std::string_view> caches;      ///< KV types, best first
};

/// A row by hardware. The first that covers the hardware and the load decides.
struct Platform {
  std::string_view name;
  std::span<const std::string_view> hardware;  ///< classes or groups of compat/hardware.h
  std::int64_t crowd;                          ///< least sequences at once
  std::span<const Stack> stacks;               ///< best first
  std::string_view why;
};

/// A row by task.
struct Purpose {
  std::string_view name;  ///< as `recommend --task` takes it
  std::int64_t least_bits;
  std::string_view suites;   ///< spec.evaluation.suites, as JSON
  std::string_view slo;      ///< spec.evaluation.slo, as JSON
  std::string_view rollout;  ///< spec.rollout, as JSON
  bool pinned;               ///< spec.model.revision must be given
  std::string_view why;
};

std::span<const Platform> platforms();
std::span<const Purpose> purposes();

/// nullptr when there is none of that name.
const Purpose* find_purpose(std::string_view name);

/// The row of a model that is a base and adapters.
inline constexpr std::string_view kAdaptersName = "qlora";
inline constexpr std::string_view kAdaptersWhy =
    "NF4 is what QLoRA trains on, not what it should serve: the adapter is merged into the FP16 base in "
    "FP32, and the merged model is quantized and evaluated as one; an adapter beside quantized weights is a "
    "model that nobody measured";

}  // namespace stepdown::compat
