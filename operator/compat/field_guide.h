#pragma once

#include <array>
#include <span>
#include <string_view>

namespace stepdown::compat {

/// A known fault or a duty of people who quantize, and the rules that look for it.
struct Concern {
  std::string_view name;
  std::array<std::string_view, 5> rules;  ///< ids; the rest are empty
};

/// How quantization usually goes wrong.
std::span<const Concern> pitfalls();
/// What is to be settled before quantized weights take traffic.
std::span<const Concern> checklist();

}  // namespace stepdown::compat
