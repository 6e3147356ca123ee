#include "engine/quant/methods/gguf.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/quant/calibration/compute_imatrix.h"
#include "engine/quant/kept_state.h"
#include "engine/quant/memory_estimate.h"
#include "engine/quant/preset.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

constexpr const char* kImportance = ".importance";

MethodResult run_preset(const MethodRun& run, const fs::path& folder) {
  const Preset& preset = find_preset(run.request.preset);
  const WeightSettings& asked = run.request.weights;
  if (asked.bits != 0 && asked.bits != preset.bits) {
    throw InputError("preset " + std::string(preset.name) + " has " + std::to_string(preset.bits) + " bits",
                     "--bits", "leave it out: the preset decides");
  }
  if (asked.group_size != 0) {
    throw InputError("GGUF presets have their own groups", "--group-size",
                     "leave it out: the preset decides");
  }
  // Refuses what cannot be quantized, and what has no room, before anything is computed.
  require_space_for(plan_preset(run.model, preset.name, false), folder / "model.gguf");
  const formats::Imatrix imatrix = importance_for(run, folder);
  const GgufPlan plan = plan_preset(run.model, preset.name, !imatrix.columns.empty());
  const WrittenGguf written = write_model(run, plan, imatrix, folder, "quantize " + std::string(preset.name));
  MethodResult result;
  result.size = written.size;
  result.tensors = written.tensors;
  result.preset = preset.name;
  result.bits = preset.bits;
  result.used_calibration = run.calibration != nullptr || !run.request.imatrix.empty();
  result.digest = written.digest;
  return result;
}

}  // namespace

formats::Imatrix importance_for(const MethodRun& run, const fs::path& folder) {
  if (!run.request.imatrix.empty()) {
    if (!run.request.imatrix_out.empty())
      throw InputError("an importance matrix that is given is not computed", "--imatrix-out",
                       "leave --imatrix or --imatrix-out out");
    formats::Imatrix given = formats::read_imatrix(run.request.imatrix);
    if (std::ranges::none_of(run.model.tensors(),
                             [&](const TensorView& tensor) { return given.columns.contains(tensor.name); })) {
      throw InputError("has nothing of this model's tensors", run.request.imatrix,
                       "give one that was computed on this model");
    }
    return given;
  }
  if (run.calibration == nullptr) {
    if (!run.request.imatrix_out.empty())
      throw InputError("no importance matrix is computed without prompts", "--imatrix-out",
                       "give --calibration, or leave it out");
    return {};
  }
  formats::Imatrix imatrix = compute_imatrix(run.model, *run.calibration, run.threads, folder / kImportance);
  if (!run.request.imatrix_out.empty()) {
    const auto tokens = static_cast<std::uint32_t>(run.calibration->tokens());
    fs::create_directories(fs::absolute(run.request.imatrix_out).parent_path());
    formats::write_imatrix(run.request.imatrix_out, imatrix, tokens, tokens / std::max(1u, imatrix.chunks));
  }
  return imatrix;
}

WrittenGguf write_model(const MethodRun& run, const GgufPlan& plan, const formats::Imatrix& imatrix,
                        const fs::path& folder, const std::string& label) {
  const WrittenGguf written = write_gguf(run.model, plan, folder / "model.gguf", run.threads, label, imatrix,
                                         formats::Existing::kContinued);
  discard_state(folder / kImportance);
  return written;
}

std::int64_t gguf_memory(const MethodRun& run) {
  return gguf_working_memory(run.model, run.request.imatrix.empty() ? run.calibration : nullptr);
}

Method gguf_method() {
  return {"gguf", "model.gguf", "--preset --bits --group-size --imatrix --imatrix-out", run_preset,
          gguf_memory};
}

}  // namespace stepdown::quant
