#include "engine/quant/methods/qat.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/quant/checkpoint/exporter.h"
#include "engine/quant/kept_state.h"
#include "engine/quant/memory_estimate.h"
#include "engine/quant/methods/affine_rounding.h"
#include "engine/quant/methods/gptq_layout.h"
#include "engine/quant/training/quantization_aware.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

constexpr int kSteps = 400;

WeightSettings settle(WeightSettings asked) {
  if (asked.steps == 0) asked.steps = kSteps;
  return settle_gptq_layout(asked);
}

QuantizedWeight quantize(kernels::ThreadPool& pool, const Linear& linear, const StageInputs* /*inputs*/,
                         const WeightSettings& settings) {
  const GridSearch search{settings.bits, settings.symmetric, settings.search_clip};
  return formats::pack_gptq(round_to_nearest(pool, linear.weight, settings.group_size, search),
                            settings.gptq_version.value());
}

nlohmann::json config(const WeightSettings& settings, const std::vector<std::string>& kept) {
  return gptq_layout_config(settings, false, kept);
}

constexpr WeightMethod kRounding = {"qat", "",    needs_nothing, settle, nullptr, one_by_one<quantize>,
                                    {},    config};

MethodResult run_qat(const MethodRun& run, const fs::path& folder) {
  if (run.calibration == nullptr) {
    throw InputError("training needs prompts", "--calibration",
                     "give a JSONL file of chats like those it will serve, a few hundred or more");
  }
  const WeightSettings settings = settle(run.request.weights);
  ExportJob job{run.model, run.source, kRounding, settings, nullptr, run.threads};
  check_export(job);
  const fs::path state = folder / ".training";
  TrainingLimits limits;
  limits.steps = settings.steps;
  limits.rate = static_cast<float>(run.request.learning_rate);
  limits.time = std::chrono::duration<double, std::ratio<3600>>(run.request.max_hours);
  const Trained trained = train(run.model, *run.calibration, settings, limits, run.threads, state);
  job.replace = [&](DecoderBlock& block) {
    const auto& weights = trained.weights[static_cast<std::size_t>(block.index())];
    for (std::size_t i = 0; i < weights.size(); ++i) block.linears()[i].weight = weights[i];
  };
  const ExportedCheckpoint written = export_checkpoint(job, folder);
  discard_state(state);  // a run that is killed before need not train again
  MethodResult result;
  result.size = written.size;
  result.tensors = written.tensors;
  result.bits = settings.bits;
  result.used_calibration = true;
  result.training = {{"steps", trained.steps},
                     {"seconds", trained.seconds},
                     {"outOfTime", trained.out_of_time},
                     {"firstLoss", trained.first_loss},
                     {"lastLoss", trained.last_loss}};
  return result;
}

}  // namespace

Method qat_method() {
  return {"qat", "",
          "--bits --group-size --granularity --asymmetric --no-clip --checkpoint-format --steps --max-hours "
          "--learning-rate",
          run_qat, [](const MethodRun& run) {
            return run.calibration == nullptr
                       ? 0
                       : training_working_memory(run.model, settle(run.request.weights), *run.calibration);
          }};
}

}  // namespace stepdown::quant
