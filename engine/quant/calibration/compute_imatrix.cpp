#include "engine/quant/calibration/compute_imatrix.h"

#include <algorithm>
#include <iterator>
#include <map>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/formats/importance_range.h"
#include "engine/quant/calibration/prompt_streams.h"
#include "engine/quant/paced_state.h"

namespace stepdown::quant {
namespace {

class ImportanceRun {
 public:
  ImportanceRun(const formats::ModelFile& model, const CalibrationSet& calibration, int threads,
                std::filesystem::path state)
      : model_(model),
        longest_(calibration.longest()),
        layers_(model.config().layers),
        state_(std::move(state)),
        pool_(threads > 0 ? threads : kernels::usable_processors()),
        streams_(model, calibration) {
    imatrix_.dataset = "sha256:" + calibration.digest();
    imatrix_.chunks = static_cast<std::uint32_t>(calibration.samples());
  }

  formats::Imatrix run() {
    take_up();
    Progress progress("importance matrix", static_cast<std::uint64_t>(layers_), " layers");
    progress.skip(static_cast<std::uint64_t>(layer_));
    while (layer_ < layers_) {
      pass();
      ++layer_;
      if (layer_ == layers_ || state_.due()) keep();
      progress.advance();
    }
    return std::move(imatrix_);
  }

 private:
  void pass() {
    const DecoderBlock block(model_, layer_, longest_);
    const std::string prefix = "blk." + std::to_string(layer_) + ".";
    const std::vector<Place> places = block.places();
    for (std::size_t i = 0; i < places.size(); ++i) {
      const StageInputs seen = streams_.observe_and_keep(pool_, block, places[i], false);
      for (const Linear& linear : block.linears()) {
        if (linear.place == places[i]) note(prefix + std::string(linear.gguf) + ".weight", linear, seen);
      }
      if (i + 1 < places.size() && places[i + 1].stage == places[i].stage) continue;
      streams_.advance(pool_, block, places[i].stage);
    }
  }

  /// Experts stand one after another under one name; one that no token came to counts all columns alike.
  void note(const std::string& name, const Linear& linear, const StageInputs& seen) {
    if (!std::ranges::all_of(seen.mean_square, formats::is_importance)) {
      throw InputError("reads numbers that are not finite or beyond 3e7 on the calibration prompts",
                       "tensor '" + name + "'", "the model itself is not sound: evaluate it unquantized");
    }
    std::vector<float>& columns = imatrix_.columns[name];
    if (seen.tokens > 0) {
      std::ranges::copy(seen.mean_square, std::back_inserter(columns));
    } else {
      columns.resize(columns.size() + seen.mean_square.size(), 1.0f);
    }
    if (linear.place.expert != Place::kNoExpert)
      imatrix_.expert_tokens[name].push_back(static_cast<float>(seen.tokens));
  }

  /// Of a matrix that is whole the prompts' streams are needed no longer.
  void keep() {
    nlohmann::json head = {
        {"layer", layer_}, {"columns", nlohmann::json::object()}, {"expertTokens", nlohmann::json::object()}};
    std::vector<std::span<const float>> numbers;
    const auto add = [&](const char* part, const auto& entries) {
      for (const auto& [name, values] : entries) {
        head[part][name] = values.size();
        numbers.emplace_back(values);
      }
    };
    add("columns", imatrix_.columns);
    add("expertTokens", imatrix_.expert_tokens);
    if (layer_ < layers_) std::ranges::copy(streams_.values(), std::back_inserter(numbers));
    state_.keep(head, numbers);
  }

  void take_up() {
    formats::Imatrix kept;
    std::int64_t layer = 0;
    const nlohmann::json head = state_.take_up([&](const nlohmann::json& kept_head, std::size_t numbers) {
      layer = kept_head.at("layer");
      std::vector<std::span<float>> places;
      const auto add = [&](const char* part, auto& entries) {
        const auto counts = kept_head.at(part).get<std::map<std::string, std::size_t>>();
        for (const auto& [name, count] : counts) {
          entries[name].resize(std::min(numbers, count));
          places.emplace_back(entries[name]);
        }
      };
      add("columns", kept.columns);
      add("expertTokens", kept.expert_tokens);
      if (layer < layers_) std::ranges::copy(streams_.values(), std::back_inserter(places));
      return places;
    });
    if (head.is_null()) return;
    layer_ = layer;
    imatrix_.columns = std::move(kept.columns);
    imatrix_.expert_tokens = std::move(kept.expert_tokens);
  }

  const formats::ModelFile& model_;
  std::int64_t longest_;
  std::int64_t layers_;
  PacedState state_;
  kernels::ThreadPool pool_;
  PromptStreams streams_;
  formats::Imatrix imatrix_;
  std::int64_t layer_ = 0;  ///< the next one
};

}  // namespace

formats::Imatrix compute_imatrix(const formats::ModelFile& model, const CalibrationSet& calibration,
                                 int threads, const std::filesystem::path& state) {
  return ImportanceRun(model, calibration, threads, state).run();
}

}  // namespace stepdown::quant
