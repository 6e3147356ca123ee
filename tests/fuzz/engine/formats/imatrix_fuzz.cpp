#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "engine/formats/imatrix_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown;
  try {
    const auto imatrix = formats::parse_imatrix(std::as_bytes(std::span(data, size)), "fuzz.imatrix");
    for (const auto& [name, columns] : imatrix.columns) {
      for (const float x : columns) {
        if (!(x >= 0 && std::isfinite(x))) __builtin_trap();
      }
    }
  } catch (const InputError&) {
    return 0;
  }
  return 0;
}
