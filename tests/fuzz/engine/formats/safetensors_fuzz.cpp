#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "engine/formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown;
  try {
    std::size_t covered = 0;
    for (const TensorView& tensor :
         formats::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz.safetensors")) {
      covered += tensor.data.size();
    }
    if (covered > size) __builtin_trap();
  } catch (const InputError&) {
    return 0;
  }
  return 0;
}
