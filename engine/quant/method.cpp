#include "engine/quant/method.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "engine/base/log.h"
#include "engine/quant/preset.h"

namespace stepdown::quant {
namespace {

MethodResult run_gguf(const formats::ModelFile& model, const MethodRequest& request,
                      const std::filesystem::path& folder, int threads) {
  const Preset& preset = find_preset(request.preset);
  if (request.bits != 0 && request.bits != preset.bits) {
    throw InputError("preset " + std::string(preset.name) + " has " + std::to_string(preset.bits) + " bits",
                     "--bits", "leave it out: the preset decides");
  }
  if (request.group_size != 0) {
    throw InputError("GGUF presets have their own groups", "--group-size",
                     "leave it out: the preset decides");
  }
  formats::Imatrix imatrix;
  if (!request.imatrix.empty()) {
    imatrix = formats::read_imatrix(request.imatrix);
  } else if (!request.calibration.empty()) {
    log::warn("method gguf uses calibration data only as --imatrix; they have no effect");
  }
  const std::string label = "quantize " + std::string(preset.name);
  const GgufPlan plan = plan_preset(model, preset.name, !imatrix.columns.empty());
  return {write_gguf(model, plan, folder / "model.gguf", threads, label, imatrix), std::string(preset.name),
          preset.bits};
}

constexpr std::array kMethods = {Method{"gguf", "model.gguf", run_gguf}};

}  // namespace

std::span<const Method> methods() {
  return kMethods;
}

const Method& find_method(std::string_view name) {
  const auto* method = std::ranges::find(kMethods, name, &Method::name);
  if (method != kMethods.end()) return *method;
  std::string known;
  for (const Method& each : kMethods) known += (known.empty() ? "" : ", ") + std::string(each.name);
  throw InputError("method \"" + std::string(name) + "\" is not supported", "--method",
                   "supported: " + known);
}

}  // namespace stepdown::quant
