// What layers are calibrated on.
#include "engine/quant/checkpoint/exporter.h"

#include "tests/unit/engine/quant/methods/exported_model.h"

#include "engine/base/atomic_file.h"
#include "engine/base/hash.h"

namespace stepdown::quant {
namespace {

/// GPTQ that keeps what it was given, by layer and place in the order of work.
std::vector<StageInputs> seen;
std::vector<QuantizedWeight> quantize_and_keep(kernels::ThreadPool& pool, Linears linears,
                                               const StageInputs* inputs, const WeightSettings& settings) {
  seen.push_back(*inputs);
  return method_named("gptq").quantize(pool, linears, inputs, settings);
}

/// ‖a − b‖ / ‖b‖ of Gram matrices.
double apart(const Matrix& a, const Matrix& b) {
  double difference = 0;
  double energy = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    difference += std::pow(static_cast<double>(a.values[i]) - static_cast<double>(b.values[i]), 2);
    energy += std::pow(static_cast<double>(b.values[i]), 2);
  }
  return std::sqrt(difference / energy);
}

Matrix gram_of(const std::vector<Matrix>& inputs) {
  Matrix gram(inputs.front().columns, inputs.front().columns);
  for (const Matrix& rows : inputs) {
    for (std::int64_t token = 0; token < rows.rows; ++token) {
      for (std::int64_t i = 0; i < gram.rows; ++i) {
        for (std::int64_t j = 0; j < gram.columns; ++j)
          gram.row(i)[j] += rows.row(token)[i] * rows.row(token)[j];
      }
    }
  }
  return gram;
}

// True-sequential: by the time a layer is quantized, all that lead to it in its block are, and so are all
// blocks before. So each was calibrated on what it reads in the checkpoint that is served.
TEST(Exporter, EachLayerIsCalibratedOnWhatTheQuantizedOnesBeforeItGive) {
  seen.clear();
  WeightMethod method = method_named("gptq");
  method.quantize = quantize_and_keep;
  WeightSettings settings;
  settings.bits = 3;  // coarse, so that what it changes is seen
  settings.group_size = 32;
  const ExportedModel model(method, settings);
  ASSERT_EQ(seen.size(), 2 * named_stages().size());
  kernels::ThreadPool pool(2);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const auto layer = static_cast<std::int64_t>(i / named_stages().size());
    const NamedStage& place = named_stages()[i % named_stages().size()];
    SCOPED_TRACE("layer " + std::to_string(layer) + ", " + place.linears.front());
    const Matrix served = gram_of(model.reads(pool, layer, place.stage, model.written(), model.written()));
    EXPECT_LT(apart(seen[i].gram, served), 1e-4);
    if (place.stage == Stage::kAttentionInput) continue;  // nothing of its own block leads there
    const Matrix block_as_it_was =
        gram_of(model.reads(pool, layer, place.stage, model.source(), model.source()));
    EXPECT_GT(apart(seen[i].gram, block_as_it_was), 1e-2);
  }
}

// A Job would fail for good of what another try mends.
TEST(Exporter, AShardThatAKilledRunLeftDamagedIsWrittenAnew) {
  const RandomModel model;
  const auto file = formats::open_model(model.folder.path());
  CalibrationRequest request;
  request.path = model.prompts();
  const CalibrationSet calibration(*file, request);
  const std::string other = read_file(model.folder / "model.safetensors");
  for (const char* name : {"gptq", "int8"}) {
    WeightSettings settings;
    settings.group_size = std::string(name) == "gptq" ? 32 : 0;
    const WeightMethod& method = method_named(name);
    const ExportJob job{*file, model.folder.path(), method, method.settle(settings), &calibration, 2};
    const formats::TempFolder whole;
    export_checkpoint(job, whole.path());
    const std::string sound = read_file(whole / "model-00002-of-00003.safetensors");
    std::vector<std::string> damaged = {"", sound.substr(0, 100), sound.substr(0, sound.size() - 1)};
    if (std::string(name) == "gptq") damaged.push_back(other);  // whole, but nothing that brings prompts on
    for (const std::string& bytes : damaged) {
      const formats::TempFolder killed;
      write_file_atomically(killed / "model-00002-of-00003.safetensors", bytes);
      export_checkpoint(job, killed.path());
      EXPECT_EQ(artifact_digest(killed.path()), artifact_digest(whole.path()))
          << name << ", " << bytes.size();
    }
  }
}

}  // namespace
}  // namespace stepdown::quant
