#include "engine/quant/method.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/quant/checkpoint/exporter.h"
#include "engine/quant/memory_estimate.h"
#include "engine/quant/methods/gguf.h"
#include "engine/quant/methods/mixed.h"
#include "engine/quant/methods/qat.h"
#include "engine/quant/preset.h"

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

}  // namespace

std::span<const Method> methods() {
  static const std::vector<Method> kMethods = all_methods();
  return kMethods;
}

const Method& find_method(std::string_view name) {
  const auto all = methods();
  const auto method = std::ranges::find(all, name, &Method::name);
  if (method != all.end()) return *method;
  refuse_ternary(name, "--method");
  std::string known;
  for (const Method& each : all) known += (known.empty() ? "" : ", ") + std::string(each.name);
  throw InputError("method \"" + std::string(name) + "\" is not supported", "--method",
                   "supported: " + known);
}

}  // namespace stepdown::quant
