#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/error.h"
#include "operator/kube/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    stepdown::kube::parse_kubeconfig({reinterpret_cast<const char*>(data), size}, "/nonexistent");
  } catch (const stepdown::InputError&) {  // refusals are fine, anything else is not
  }
  return 0;
}
