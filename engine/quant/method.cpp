#include "engine/quant/method.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "engine/quant/checkpoint/exporter.h"
#include "engine/quant/memory_estimate.h"
#include "engine/quant/methods/gguf.h"
#include "engine/quant/methods/mixed.h"
#include "engine/quant/methods/qat.h"

namespace stepdown::quant {
namespace {

MethodResult export_by(const WeightMethod& method, const MethodRun& run,
                       const std::filesystem::path& folder) {
  const ExportJob job{run.model,       run.source, method, method.settle(run.request.weights),
                      run.calibration, run.threads};
  const ExportedCheckpoint written = export_checkpoint(job, folder);
  return {written.size, written.tensors, "", job.settings.bits,
          method.needs(job.settings) != Needs::kNothing};
}

std::vector<Method> all_methods() {
  std::vector<Method> all = {gguf_method(), mixed_method(), qat_method()};
  for (const WeightMethod& method : weight_methods()) {
    all.push_back({method.name, "", method.options,
                   [&method](const MethodRun& run, const std::filesystem::path& folder) {
                     return export_by(method, run, folder);
                   },
                   [&method](const MethodRun& run) {
                     return export_working_memory(run.model, method, method.settle(run.request.weights),
                                                  run.calibration);
                   }});
  }
  return all;
}

struct Refusal {
  std::string_view name;
  std::string_view reason;
  std::string_view mend;
};
// Names that the field uses for what is no quantization of a trained model.
constexpr std::array kRefusals = {
    Refusal{"ternary",
            "rounding a trained model to three values destroys it: only models trained so keep their sense",
            "load a model that was trained ternary (TQ1_0 and TQ2_0 are read), or use gguf Q2_K"},
    Refusal{"tq1_0", "TQ1_0 stores models that were trained ternary; a trained model rounded so is destroyed",
            "load a ternary model as it is, or use gguf Q2_K"},
    Refusal{"tq2_0", "TQ2_0 stores models that were trained ternary; a trained model rounded so is destroyed",
            "load a ternary model as it is, or use gguf Q2_K"},
};

}  // namespace

std::span<const Method> methods() {
  static const std::vector<Method> kMethods = all_methods();
  return kMethods;
}

const Method& find_method(std::string_view name) {
  const auto all = methods();
  const auto method = std::ranges::find(all, name, &Method::name);
  if (method != all.end()) return *method;
  if (const auto* refusal = std::ranges::find(kRefusals, name, &Refusal::name); refusal != kRefusals.end()) {
    throw InputError(std::string(refusal->reason), "--method " + std::string(name),
                     std::string(refusal->mend));
  }
  std::string known;
  for (const Method& each : all) known += (known.empty() ? "" : ", ") + std::string(each.name);
  throw InputError("method \"" + std::string(name) + "\" is not supported", "--method",
                   "supported: " + known);
}

}  // namespace stepdown::quant
