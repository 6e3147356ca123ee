#include "engine/quant/checkpoint/exporter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/free_space.h"
#include "engine/base/half.h"
#include "engine/base/log.h"
#include "engine/base/mapped_file.h"
#include "engine/base/progress.h"
#include "engine/formats/hf_tensors.h"
#include "engine/formats/quantized/layout.h"
#include "engine/formats/safetensors.h"
#include "engine/formats/safetensors_writer.h"
#include "engine/kernels/dequantize.h"
#include "engine/quant/calibration/prompt_streams.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using formats::ModuleTensors;
using formats::NamedTensor;

std::string layer_prefix(std::int64_t layer) {
  return "model.layers." + std::to_string(layer) + ".";
}

NamedTensor as_f16(const std::string& name, const std::vector<std::int64_t>& shape,
                   std::span<const float> values, bool plus_one = false) {
  std::vector<std::uint16_t> halves(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!(std::fabs(values[i]) <= 65504.0f)) {
      throw InputError("holds values beyond binary16's range", "tensor " + name, "use method gguf");
    }
    halves[i] = f32_to_f16(plus_one ? values[i] - 1.0f : values[i]);
  }
  return formats::named_tensor<std::uint16_t>(name, DType::kF16, shape, halves);
}

class Exporter {
 public:
  Exporter(const ExportJob& job, const fs::path& folder)
      : pool_(job.threads > 0 ? job.threads : kernels::usable_processors()),
        job_(job),
        needs_(job.method.needs(job.settings)),
        folder_(folder) {
    kept_.emplace_back("lm_head");
    const std::string config = job.method.config(job.settings, kept_).dump();
    read_ = formats::quantized_layout(formats::JsonView::parse(config, "quantization_config"));
  }

  ExportedCheckpoint run() {
    const std::int64_t layers = job_.model.config().layers;
    const std::uint64_t needed = least_bytes();
    require_space(folder_, needed - std::min(needed, bytes_there()));
    if (needs_ != Needs::kNothing) streams_ = PromptStreams(job_.model, *job_.calibration);
    Progress progress("quantize " + std::string(job_.method.name), static_cast<std::uint64_t>(layers),
                      " layers");
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      progress.note("layer " + std::to_string(layer));
      const fs::path shard = folder_ / shard_name(layer + 1);
      if (!fs::exists(shard) || !took_up(layer, shard)) write(layer + 1, quantize(load(layer)));
      progress.advance();
    }
    write(0, other_tensors());
    formats::write_safetensors_index(folder_, files_, tensor_bytes_);
    write_config();
    copy_other_files();
    result_.size = bytes_there();
    return result_;
  }

 private:
  std::uint64_t bytes_there() const {
    std::uint64_t sum = 0;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const bool kept = !entry.path().filename().string().starts_with('.');  // no note of the work's
      if (kept && entry.is_regular_file()) sum += entry.file_size();
    }
    return sum;
  }

  /// Of the tensors: those of layers that may be quantized in so many bits, without scales; others as F16.
  std::uint64_t least_bytes() const {
    std::uint64_t bits = 0;
    for (const TensorView& tensor : job_.model.tensors()) {
      const auto count = static_cast<std::uint64_t>(tensor.rows() * tensor.columns());
      const bool quantized = tensor.name.starts_with("blk.") && tensor.rows() > 1;
      bits += count * (quantized ? static_cast<std::uint64_t>(job_.settings.bits) : 16);
    }
    return bits / 8;
  }

  /// As the methods see it, with what is not quantized as it will be stored.
  DecoderBlock load(std::int64_t layer) {
    DecoderBlock block(job_.model, layer, streams_.empty() ? 0 : job_.calibration->longest());
    if (job_.replace) job_.replace(block);
    round(block);
    if (const BlockTensor* router = block.router()) {
      const std::string_view name = router->name;
      const std::string module = layer_prefix(layer) + std::string(name.substr(0, name.rfind('.')));
      if (kept_.back() != module) kept_.push_back(module);
    }
    return block;
  }

  std::string shard_name(std::int64_t index) const {
    std::array<char, 64> name;
    std::snprintf(name.data(), name.size(), "model-%05d-of-%05d.safetensors", static_cast<int>(index + 1),
                  static_cast<int>(job_.model.config().layers + 1));
    return name.data();
  }

  /// The module's weight as loaders will compute with it.
  Matrix read_back(const ModuleTensors& module, const Linear& linear) const {
    const formats::ModuleReader reader(module, std::string(linear.name));
    Matrix values(linear.weight.rows, linear.weight.columns);
    const formats::DenseForm dense = read_(reader, values.rows, values.columns, DType::kF32);
    kernels::dequantize_row(dense.type, dense.bytes, values.values);
    return values;
  }

  std::vector<NamedTensor> quantize(DecoderBlock block) {
    std::vector<NamedTensor> tensors;
    const std::vector<Place> places = block.places();
    const std::span attention = std::span(kStages).first<2>();
    const std::span feed_forward = std::span(kStages).last<2>();
    for (std::size_t i = 0; i < places.size(); ++i) {  // each sees what the quantized ones before it give
      const bool begins = i == 0 || places[i - 1].stage != places[i].stage;
      if (begins && places[i].stage == attention.front()) prepare(block, attention);
      if (begins && places[i].stage == feed_forward.front()) prepare(block, feed_forward);
      std::optional<StageInputs> inputs;
      if (needs_ != Needs::kNothing) inputs = streams_.observe_and_keep(pool_, block, places[i], with_gram());
      std::vector<Linear*> linears;
      for (Linear& linear : block.linears()) {
        if (linear.place == places[i]) linears.push_back(&linear);
      }
      quantize(block.index(), linears, inputs ? &*inputs : nullptr, tensors);
      const bool last = i + 1 == places.size() || places[i + 1].stage != places[i].stage;
      if (last) streams_.advance(pool_, block, places[i].stage);
    }
    const std::string prefix = layer_prefix(block.index());
    for (const Linear& linear : block.linears()) {
      if (linear.bias.empty()) continue;
      tensors.push_back(as_f16(prefix + linear.name + ".bias",
                               {static_cast<std::int64_t>(linear.bias.size())}, linear.bias));
    }
    for (const BlockTensor& other : block.others())
      tensors.push_back(as_f16(prefix + std::string(other.name), other.shape, other.values, other.plus_one));
    return tensors;
  }

  void prepare(DecoderBlock& block, std::span<const Stage> stages) {
    if (job_.method.prepare == nullptr) return;
    const auto see = [&](Place place) { return streams_.observe(pool_, block, place, with_gram()); };
    job_.method.prepare(pool_, block, stages, see, job_.settings);
    round(block);
  }

  /// What is not quantized, as it will be stored.
  static void round(DecoderBlock& block) {
    for (BlockTensor& other : block.others()) other.round();
    for (Linear& linear : block.linears()) {
      for (float& x : linear.bias) x = as_stored(x, false);
    }
  }

  void quantize(std::int64_t layer, Linears linears, const StageInputs* inputs,
                std::vector<NamedTensor>& tensors) {
    auto quantized = job_.method.quantize(pool_, linears, inputs, job_.settings);
    for (std::size_t i = 0; i < linears.size(); ++i) {
      ModuleTensors views;
      for (const NamedTensor& tensor : quantized[i]) views.emplace(tensor.name, tensor.view());
      linears[i]->weight = read_back(views, *linears[i]);
      for (NamedTensor& tensor : quantized[i]) {
        tensor.name = layer_prefix(layer) + linears[i]->name + "." + tensor.name;
        tensors.push_back(std::move(tensor));
      }
    }
  }

  bool with_gram() const { return needs_ == Needs::kGram; }

  /// False, with a warning: the shard is damaged, as by a machine that stopped.
  bool took_up(std::int64_t layer, const fs::path& shard) {
    DecoderBlock block = load(layer);
    try {
      take_up(block, shard);
    } catch (const InputError& error) {
      log::warn(shard.string() + " is damaged; its layer is quantized anew", {{"because", error.what()}});
      return false;
    }
    if (streams_.empty()) return true;
    for (const Stage stage : kStages) streams_.advance(pool_, block, stage);
    return true;
  }

  /// A block that an earlier run finished: its stored weights bring the streams on.
  void take_up(DecoderBlock& block, const fs::path& shard) {
    const MappedFile file(shard);
    const auto tensors = formats::parse_safetensors(file.bytes(), shard.string());
    const auto note_all = [&] {
      for (const TensorView& tensor : tensors) note(tensor, shard.filename());
    };
    if (streams_.empty()) return note_all();
    const std::string prefix = layer_prefix(block.index());
    for (Linear& linear : block.linears()) {
      const std::string module = prefix + std::string(linear.name) + ".";
      ModuleTensors views;
      for (const TensorView& tensor : tensors) {
        if (tensor.name.starts_with(module)) views.emplace(tensor.name.substr(module.size()), tensor);
      }
      if (const auto bias = views.find("bias"); bias != views.end())
        kernels::dequantize_row(bias->second.type, bias->second.data, linear.bias);
      linear.weight = read_back(views, linear);
    }
    for (BlockTensor& other : block.others()) {
      const auto stored = std::ranges::find(tensors, prefix + std::string(other.name), &TensorView::name);
      if (stored == tensors.end()) continue;
      kernels::dequantize_row(stored->type, stored->data, other.values);
      for (float& x : other.values) x += other.plus_one ? 1.0f : 0.0f;
    }
    note_all();
  }

  std::vector<NamedTensor> other_tensors() const {
    std::vector<NamedTensor> tensors;
    for (const formats::HfTensor& expected : formats::hf_tensors(job_.model.config())) {
      if (expected.hf.starts_with("model.layers.")) continue;
      tensors.push_back(as_f16(expected.hf, expected.shape, load_matrix(job_.model, expected.gguf).values,
                               expected.plus_one));
    }
    return tensors;
  }

  void write(std::int64_t index, const std::vector<NamedTensor>& tensors) {
    std::vector<TensorView> views;
    views.reserve(tensors.size());
    for (const NamedTensor& tensor : tensors) views.push_back(tensor.view());
    formats::write_safetensors(folder_ / shard_name(index), views);
    for (const TensorView& view : views) note(view, shard_name(index));
  }

  void note(const TensorView& tensor, const std::string& file) {
    files_[tensor.name] = file;
    tensor_bytes_ += tensor.data.size();
    ++result_.tensors[std::string(dtype_info(tensor.type).name)];
  }

  void write_config() const {
    auto config = nlohmann::ordered_json::parse(read_file(job_.source / "config.json"));
    config.erase("dtype");
    config["torch_dtype"] = "float16";
    config["quantization_config"] = job_.method.config(job_.settings, kept_);
    write_file_atomically(folder_ / "config.json", config.dump(2) + "\n");
  }

  /// Tokenizer, generation settings, license: all but weights and their index.
  void copy_other_files() const {
    for (const auto& entry : fs::directory_iterator(job_.source)) {
      const std::string name = entry.path().filename();
      const std::string extension = entry.path().extension();
      const bool weights = extension == ".safetensors" || extension == ".bin" || extension == ".gguf" ||
                           extension == ".pth" || name.ends_with(".index.json");
      if (!entry.is_regular_file() || weights || name.starts_with('.') || name == "config.json") continue;
      write_file_atomically(folder_ / name, read_file(entry.path()));
    }
  }

  kernels::ThreadPool pool_;
  const ExportJob& job_;
  Needs needs_;
  fs::path folder_;
  std::vector<std::string> kept_;  ///< modules that are not quantized
  formats::ReadWeight read_;
  PromptStreams streams_;
  std::map<std::string, std::string> files_;
  std::uint64_t tensor_bytes_ = 0;
  ExportedCheckpoint result_;
};

}  // namespace

void check_export(const ExportJob& job) {
  if (job.model.format() != "safetensors") {
    throw InputError("method " + std::string(job.method.name) +
                         " writes a Hugging Face folder, which needs one to start from",
                     "--model",
                     "give the model's folder with config.json and tokenizer.json, or use method gguf");
  }
  if (job.method.needs(job.settings) != Needs::kNothing && job.calibration == nullptr) {
    throw InputError("method " + std::string(job.method.name) + " needs calibration data", "--calibration",
                     "give a JSONL file of prompts like those it will serve");
  }
  for (const TensorView& tensor : job.model.tensors()) {
    if (dtype_info(tensor.type).quantized) {
      throw InputError(
          "tensor '" + tensor.name + "' is " + std::string(dtype_info(tensor.type).name) + " already",
          "--model", "give the F16, BF16 or F32 model");
    }
  }
}

ExportedCheckpoint export_checkpoint(const ExportJob& job, const fs::path& folder) {
  check_export(job);
  return Exporter(job, folder).run();
}

}  // namespace stepdown::quant
