#include "engine/formats/quantized/layout.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/formats/quantized/awq.h"
#include "engine/formats/quantized/bitsandbytes.h"
#include "engine/formats/quantized/compressed_tensors.h"
#include "engine/formats/quantized/fp8.h"
#include "engine/formats/quantized/gptq.h"

namespace stepdown::formats {
namespace {

struct Layout {
  std::string_view quant_method;
  ReadWeight (*reader)(const JsonView& config);
};

// One row a layout.
constexpr std::array kLayouts = {
    Layout{"gptq", gptq_reader},
    Layout{"awq", awq_reader},
    Layout{"compressed-tensors", compressed_tensors_reader},
    Layout{"bitsandbytes", bitsandbytes_reader},
    Layout{"fp8", fp8_reader},
};

}  // namespace

bool reads_layout(std::string_view quant_method) {
  return std::ranges::find(kLayouts, quant_method, &Layout::quant_method) != kLayouts.end();
}

ReadWeight quantized_layout(const JsonView& config) {
  const JsonView method = config.required("quant_method");
  std::string known;
  for (const Layout& layout : kLayouts) {
    if (method.text() == layout.quant_method) return layout.reader(config);
    known += (known.empty() ? "" : ", ") + std::string(layout.quant_method);
  }
  method.fail("layout \"" + method.text() + "\" is not supported", "supported are " + known);
}

}  // namespace stepdown::formats
