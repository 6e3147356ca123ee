#include "engine/quant/calibration/compute_imatrix.h"

#include "engine/base/progress.h"
#include "engine/quant/calibration/stage_inputs.h"

namespace stepdown::quant {

formats::Imatrix compute_imatrix(const formats::ModelFile& model, const CalibrationSet& calibration,
                                 int threads) {
  kernels::ThreadPool pool(threads > 0 ? threads : kernels::usable_processors());
  std::vector<Matrix> streams = calibration.streams(model);
  formats::Imatrix imatrix;
  imatrix.dataset = "sha256:" + calibration.digest();
  imatrix.chunks = static_cast<std::uint32_t>(streams.size());
  const std::int64_t layers = model.config().layers;
  Progress progress("importance matrix", static_cast<std::uint64_t>(layers), " layers");
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    DecoderBlock block(model, layer);
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    for (const Stage stage : kStages) {
      const StageInputs seen = observe(pool, block, stage, streams, false);
      for (const Linear& linear : block.linears()) {
        if (linear.stage == stage)
          imatrix.columns[prefix + std::string(linear.gguf) + ".weight"] = seen.mean_square;
      }
      if (stage != Stage::kAttentionOutput && stage != Stage::kFeedForwardOutput) continue;
      for (Matrix& stream : streams) block.add_output(pool, stage, block.inputs(pool, stage, stream), stream);
    }
    progress.advance();
  }
  return imatrix;
}

}  // namespace stepdown::quant
