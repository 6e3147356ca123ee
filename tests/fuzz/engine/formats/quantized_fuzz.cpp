// A quantization_config, a zero byte and a safetensors file with the tensors of one module.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "engine/formats/quantized/layout.h"
#include "engine/formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown;
  const std::span input(data, size);
  const auto end = static_cast<std::size_t>(std::ranges::find(input, 0) - input.begin());
  if (end == size) return 0;
  constexpr std::int64_t kRows = 64;
  constexpr std::int64_t kColumns = 128;
  try {
    const std::string_view config(reinterpret_cast<const char*>(data), end);
    const auto read = formats::quantized_layout(formats::JsonView::parse(config, "config.json"));
    formats::ModuleTensors tensors;
    for (TensorView& tensor : formats::parse_safetensors(std::as_bytes(input.subspan(end + 1)), "fuzz")) {
      tensors.emplace(tensor.name, tensor);
    }
    const auto dense = read(formats::ModuleReader(tensors, "module"), kRows, kColumns, DType::kF16);
    if (dense.bytes.size() != kRows * row_bytes(dense.type, kColumns).value()) __builtin_trap();
  } catch (const InputError&) {
    return 0;
  }
  return 0;
}
