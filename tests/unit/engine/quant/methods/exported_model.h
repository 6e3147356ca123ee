#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/engine/quant/methods/one_layer.h"
#include "tests/unit/engine/quant/random_model.h"

#include "engine/base/mapped_file.h"
#include "engine/formats/model_file.h"
#include "engine/formats/safetensors.h"
#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/checkpoint/exporter.h"

namespace stepdown::quant {

/// A random model with prompts of all its letters, and what exporting it by a method wrote.
class ExportedModel {
 public:
  ExportedModel(const WeightMethod& method, const WeightSettings& asked) {
    std::string lines;
    for (unsigned line = 0; line < 16; ++line) {
      std::string text;
      for (unsigned i = 0; i < 8 + line; ++i) text += "aab"[(line * 7 + i * i) % 3];
      lines += "{\"text\": \"" + text + "\"}\n";
    }
    write_file_atomically(model_.prompts(), lines);
    source_ = formats::open_model(model_.folder.path());
    CalibrationRequest request;
    request.path = model_.prompts();
    const CalibrationSet calibration(*source_, request);
    for (std::size_t i = 0; i < calibration.samples(); ++i)
      streams_.push_back(calibration.stream(*source_, i));
    export_checkpoint({*source_, model_.folder.path(), method, method.settle(asked), &calibration, 2},
                      out_.path());
    written_ = formats::open_model(out_.path());
    for (const auto& entry : std::filesystem::directory_iterator(out_.path())) {
      if (entry.path().extension() != ".safetensors") continue;
      const MappedFile file(entry.path());
      for (const TensorView& tensor : formats::parse_safetensors(file.bytes(), entry.path())) {
        if (dtype_info(tensor.type).quantized || tensor.name.ends_with(".weight_packed")) continue;
        if (tensor.type != DType::kF16 && tensor.type != DType::kF32) continue;
        auto& values = plain_[tensor.name];
        values.resize(static_cast<std::size_t>(tensor.rows() * tensor.columns()));
        kernels::dequantize_row(tensor.type, tensor.data, values);
      }
    }
  }

  const formats::ModelFile& source() const { return *source_; }
  const formats::ModelFile& written() const { return *written_; }
  /// A tensor of floats by its name in the checkpoint.
  const std::vector<float>& plain(const std::string& name) const { return plain_.at(name); }

  /// What `reader`'s linears at a place read when the written blocks before it, and of its own block what
  /// `leading` holds, did their work: each prompt's.
  std::vector<Matrix> reads(kernels::ThreadPool& pool, std::int64_t layer, Stage stage,
                            const formats::ModelFile& leading, const formats::ModelFile& reader) const {
    std::vector<Matrix> streams = streams_;
    for (std::int64_t before = 0; before < layer; ++before) {
      const DecoderBlock block(*written_, before);
      for (Matrix& stream : streams) {
        for (const Stage each : kStages) block.advance(pool, each, stream);
      }
    }
    const DecoderBlock attention(leading, layer);
    const DecoderBlock block(reader, layer);
    for (Matrix& stream : streams) {
      if (stage > Stage::kAttentionOutput) attention.advance(pool, Stage::kAttentionOutput, stream);
      stream = block.inputs(pool, {stage}, stream);
    }
    return streams;
  }

 private:
  RandomModel model_;
  formats::TempFolder out_;
  std::unique_ptr<formats::ModelFile> source_;
  std::unique_ptr<formats::ModelFile> written_;
  std::vector<Matrix> streams_;
  std::map<std::string, std::vector<float>> plain_;
};

/// The largest magnitude of each column.
inline std::vector<double> largest_of(const std::vector<Matrix>& inputs) {
  std::vector<double> largest(static_cast<std::size_t>(inputs.front().columns));
  for (const Matrix& rows : inputs) {
    for (std::size_t i = 0; i < rows.values.size(); ++i) {
      double& most = largest[i % largest.size()];
      most = std::max(most, std::fabs(static_cast<double>(rows.values[i])));
    }
  }
  return largest;
}

struct NamedStage {
  Stage stage;
  std::vector<std::string> linears;
};
inline const std::vector<NamedStage>& named_stages() {
  static const std::vector<NamedStage> kNamed = {
      {Stage::kAttentionInput, {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}},
      {Stage::kAttentionOutput, {"self_attn.o_proj"}},
      {Stage::kFeedForwardInput, {"mlp.gate_proj", "mlp.up_proj"}},
      {Stage::kFeedForwardOutput, {"mlp.down_proj"}}};
  return kNamed;
}

/// Holds every stored input_scale against what the layers of the written checkpoint read.
inline void expect_input_scales(const ExportedModel& model, double top) {
  kernels::ThreadPool pool(2);
  for (const std::int64_t layer : {0, 1}) {
    for (const NamedStage& place : named_stages()) {
      const double most = std::ranges::max(
          largest_of(model.reads(pool, layer, place.stage, model.written(), model.written())));
      for (const std::string& linear : place.linears) {
        const std::string name = "model.layers." + std::to_string(layer) + "." + linear + ".input_scale";
        ASSERT_EQ(model.plain(name).size(), 1u) << name;
        EXPECT_NEAR(model.plain(name).front(), most / top, 1e-3 * most / top) << name;
      }
    }
  }
}

}  // namespace stepdown::quant
