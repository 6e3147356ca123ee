#include "engine/quant/calibration/compute_imatrix.h"

#include <algorithm>
#include <iterator>

#include "engine/base/progress.h"
#include "engine/quant/calibration/prompt_streams.h"

namespace stepdown::quant {
namespace {

/// Experts stand one after another under one name; one that no token came to counts all columns alike.
void note(const std::string& name, const Linear& linear, const StageInputs& seen, formats::Imatrix& imatrix) {
  std::vector<float>& columns = imatrix.columns[name];
  if (seen.tokens > 0) {
    std::ranges::copy(seen.mean_square, std::back_inserter(columns));
  } else {
    columns.resize(columns.size() + seen.mean_square.size(), 1.0f);
  }
  if (linear.place.expert != Place::kNoExpert)
    imatrix.expert_tokens[name].push_back(static_cast<float>(seen.tokens));
}

}  // namespace

formats::Imatrix compute_imatrix(const formats::ModelFile& model, const CalibrationSet& calibration,
                                 int threads) {
  kernels::ThreadPool pool(threads > 0 ? threads : kernels::usable_processors());
  PromptStreams streams(model, calibration);
  formats::Imatrix imatrix;
  imatrix.dataset = "sha256:" + calibration.digest();
  imatrix.chunks = static_cast<std::uint32_t>(calibration.samples());
  const std::int64_t layers = model.config().layers;
  Progress progress("importance matrix", static_cast<std::uint64_t>(layers), " layers");
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const DecoderBlock block(model, layer, calibration.longest());
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const std::vector<Place> places = block.places();
    for (std::size_t i = 0; i < places.size(); ++i) {
      const StageInputs seen = streams.observe_and_keep(pool, block, places[i], false);
      for (const Linear& linear : block.linears()) {
        if (linear.place == places[i])
          note(prefix + std::string(linear.gguf) + ".weight", linear, seen, imatrix);
      }
      if (i + 1 < places.size() && places[i + 1].stage == places[i].stage) continue;
      streams.advance(pool, block, places[i].stage);
    }
    progress.advance();
  }
  return imatrix;
}

}  // namespace stepdown::quant
