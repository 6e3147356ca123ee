// Every architecture by every method, from the command line to the model that the engine's own decoder runs.
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "tests/unit/engine/base/run_command.h"
#include "tests/unit/engine/formats/temp_folder.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/hash.h"
#include "engine/model/decoder.h"
#include "engine/quant/checkpoint/exporter.h"
#include "engine/quant/matrix_product.h"
#include "engine/quant/quantize_command.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using formats::TempFolder;

constexpr std::array kModels = {
    "tied_gqa", "untied_mha", "llama3_rope", "linear_rope", "yarn_rope", "mistral", "qwen2",   "qwen3",
    "gemma2",   "gemma3",     "phi3",        "granite",     "olmo2",     "smollm3", "mixtral", "qwen3_moe"};

// Weights of these models are drawn so wide that errors grow on their way; trained models lose far less.
struct MethodCase {
  std::string name;
  std::vector<std::string> arguments;
  double most;  ///< energy of the logits' difference over that of the logits
};
const std::array kMethods = {
    MethodCase{"Q8_0", {"--method", "gguf", "--preset", "Q8_0"}, 4e-3},
    MethodCase{"Q4_K_M", {"--method", "gguf", "--preset", "Q4_K_M"}, 0.2},
    MethodCase{"mixed", {"--method", "mixed", "--budget", "1G"}, 4e-3},  // of which the best types are taken
    MethodCase{"int8", {"--method", "int8"}, 4e-3},
    MethodCase{"int4", {"--method", "int4", "--group-size", "16"}, 0.25},
    MethodCase{"gptq4", {"--method", "gptq", "--group-size", "16"}, 0.2},
    MethodCase{"gptq8", {"--method", "gptq", "--bits", "8", "--group-size", "-1"}, 4e-3},
    MethodCase{"awq", {"--method", "awq", "--group-size", "16"}, 0.2},
    MethodCase{"autoround", {"--method", "autoround", "--group-size", "16", "--steps", "40"}, 0.2},
    MethodCase{"nf4", {"--method", "nf4"}, 0.3},
    MethodCase{"fp8", {"--method", "fp8"}, 0.03},
    MethodCase{"fp8_block", {"--method", "fp8", "--granularity", "block"}, 0.03},
    MethodCase{"smoothquant", {"--method", "smoothquant"}, 4e-3},
};

constexpr double kFlips = 0.1;  // a token or two that another expert takes

void run(const fs::path& model, const fs::path& prompts, const fs::path& out,
         const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--model", model, "--calibration", prompts,
                                        "--out",   out,   "--threads",     "2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  ASSERT_EQ(run_quietly(quantize_command(), std::move(arguments)), 0);
}

std::vector<std::int32_t> text() {
  std::vector<std::int32_t> tokens(40);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>((i * i + 7 * i) % 96);
  return tokens;
}

/// Of the engine that serves, behind each token of the text.
std::vector<float> logits_of(const fs::path& path) {
  const auto file = formats::open_model(path);
  kernels::ThreadPool pool(2);
  const std::vector<std::int32_t> tokens = text();
  const auto decoder = model::make_decoder(*file, {.context = 64, .max_rows = 40, .kv_pages = 4}, pool);
  const std::vector<std::int32_t> pages = {0, 1, 2, 3};
  const model::SequenceSlice slice{tokens, 0, pages};
  decoder->forward({&slice, 1});
  std::vector<std::int64_t> rows(tokens.size());
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<float> out(tokens.size() * static_cast<std::size_t>(file->config().vocab));
  decoder->logits(rows, out.data());
  return out;
}

double lost(const std::vector<float>& wanted, const std::vector<float>& got) {
  double difference = 0;
  double energy = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    difference += std::pow(static_cast<double>(got[i]) - static_cast<double>(wanted[i]), 2);
    energy += std::pow(static_cast<double>(wanted[i]), 2);
  }
  return difference / energy;
}

fs::path golden(const char* name) {
  return fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime" / name;
}

void write_prompts(const fs::path& path) {
  std::string lines;  // of the goldens' tokenizer, which knows single characters
  for (int line = 0; line < 16; ++line) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += static_cast<char>('0' + (line * 31 + i * i * 7 + i) % 70);
    lines += nlohmann::json{{"text", text}}.dump() + "\n";
  }
  write_file_atomically(path, lines);
}

class Architectures : public testing::TestWithParam<const char*> {
 protected:
  fs::path model() const { return golden(GetParam()); }
  Architectures() { write_prompts(prompts()); }
  fs::path prompts() const { return folder_ / "prompts.jsonl"; }
  TempFolder folder_;
};

TEST_P(Architectures, EveryMethodGivesAModelThatTheEngineRunsCloseToItsSource) {
  const std::vector<float> original = logits_of(model());
  const auto file = formats::open_model(model());
  const bool routed = file->config().experts > 0;
  for (const MethodCase& method : kMethods) {
    const bool in_blocks = method.arguments[1] == "gguf" || method.arguments[1] == "mixed";
    if (file->config().hidden % 32 != 0 && in_blocks) continue;  // none fits
    const fs::path out = folder_ / method.name;
    std::vector<std::string> arguments = method.arguments;
    arguments.insert(arguments.end(), {"--report", folder_ / "report.json"});
    run(model(), prompts(), out, arguments);
    const auto report = nlohmann::json::parse(read_file(folder_ / "report.json"));
    // As far as so small a model can tell; tests/bench/quantize/run memory measures larger ones.
    EXPECT_NEAR(report["predictedMemoryBytes"].get<double>(), report["peakMemoryBytes"].get<double>(),
                32 << 20);
    const double error = lost(original, logits_of(out));
    EXPECT_LT(error, method.most + (routed ? kFlips : 0.0)) << method.name;
    EXPECT_GT(error, 0.0) << method.name << " changed nothing";
  }
}

TEST_P(Architectures, AKilledRunGoesOnBehindItsFirstBlockWithTheSameBytes) {
  const auto file = formats::open_model(model());
  CalibrationRequest request;
  request.path = prompts();
  const CalibrationSet calibration(*file, request);
  const auto methods = weight_methods();
  for (const char* name : {"gptq", "awq"}) {
    const WeightMethod& method = *std::ranges::find(methods, name, &WeightMethod::name);
    WeightSettings settings;
    settings.group_size = 16;
    const ExportJob job{*file, model(), method, method.settle(settings), &calibration, 2};
    const fs::path whole = folder_ / (std::string(name) + "-whole");
    const fs::path killed = folder_ / (std::string(name) + "-killed");
    fs::create_directories(whole);
    fs::create_directories(killed);
    export_checkpoint(job, whole);
    for (const auto& shard : fs::directory_iterator(whole)) {
      if (shard.path().filename().string().starts_with("model-00002-of-"))
        fs::copy_file(shard.path(), killed / shard.path().filename());
    }
    ASSERT_FALSE(fs::is_empty(killed));
    export_checkpoint(job, killed);
    EXPECT_EQ(artifact_digest(killed), artifact_digest(whole)) << name;
  }
}

// What calibration sees is what the engine computes: all that differs are its keys and values in binary16.
TEST_P(Architectures, CalibrationFollowsTheDecoderThatServes) {
  const auto file = formats::open_model(model());
  const formats::ModelConfig& config = file->config();
  kernels::ThreadPool pool(2);
  Matrix stream = embed(*file, text());
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const DecoderBlock block(*file, layer);
    for (const Stage stage : kStages) block.advance(pool, stage, stream);
  }
  const bool tied = file->find("output.weight") == nullptr;
  Matrix logits =
      product(pool, normed(stream, load_matrix(*file, "output_norm.weight").values, config.rms_eps),
              load_matrix(*file, tied ? "token_embd.weight" : "output.weight"));
  for (float& x : logits.values) {
    x *= config.logit_scale;
    if (config.logit_softcap > 0) x = config.logit_softcap * std::tanh(x / config.logit_softcap);
  }
  EXPECT_LT(lost(logits_of(model()), logits.values), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Models, Architectures, testing::ValuesIn(kModels),
                         [](const auto& info) { return std::string(info.param); });

TEST(CalibratedArchitectures, GptqLosesLessThanRounding) {
  const TempFolder folder;
  write_prompts(folder / "prompts.jsonl");
  double rounding = 0;
  double calibrated = 0;
  for (const char* name : kModels) {
    const std::vector<float> original = logits_of(golden(name));
    const auto lost_by = [&](const char* method) {
      const fs::path out = folder / (std::string(name) + method);
      run(golden(name), folder / "prompts.jsonl", out, {"--method", method, "--group-size", "32"});
      return lost(original, logits_of(out));
    };
    rounding += lost_by("int4");
    calibrated += lost_by("gptq");
  }
  EXPECT_LT(calibrated, 0.85 * rounding);
}

}  // namespace
}  // namespace stepdown::quant
