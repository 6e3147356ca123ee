#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/error.h"
#include "engine/formats/hf_config.h"
#include "engine/formats/inspection.h"
#include "engine/formats/model_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto config = formats::config_from_hf(formats::JsonView::parse(text, "config.json"));
    const memory::Shape shape = formats::memory_shape(config.model);
    memory::estimate({1, {}, memory::activation_bytes(shape, 4)}, {config.model.context_length, 4});
    formats::check_config(config.model, {"fuzz", false});
  } catch (const InputError&) {
    return 0;
  }
  return 0;
}
