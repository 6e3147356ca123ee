// Methods that write checkpoints, from the command line to the model that is loaded again.
#include <cmath>
#include <csignal>

#include "tests/unit/engine/base/run_command.h"
#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/hash.h"
#include "engine/kernels/dequantize.h"
#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/calibration/decoder_block.h"
#include "engine/quant/quantize_command.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using formats::TempFolder;

int run(std::vector<std::string> arguments) {
  return run_quietly(quantize_command(), std::move(arguments));
}

std::vector<std::string> arguments(const RandomModel& model, const fs::path& out,
                                   std::vector<std::string> more) {
  std::vector<std::string> all = {
      "--model", model.folder.path(), "--calibration", model.prompts(), "--out", out, "--threads", "2"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// The stream behind the last block, for prompts the methods saw.
std::vector<Matrix> outputs(const formats::ModelFile& file, const RandomModel& model) {
  CalibrationRequest request;
  request.path = model.prompts();
  kernels::ThreadPool pool(2);
  const CalibrationSet prompts(file, request);
  std::vector<Matrix> streams;
  for (std::size_t i = 0; i < prompts.samples(); ++i) streams.push_back(prompts.stream(file, i));
  for (std::int64_t layer = 0; layer < file.config().layers; ++layer) {
    const DecoderBlock block(file, layer);
    for (Matrix& stream : streams) {
      for (const Stage stage : {Stage::kAttentionOutput, Stage::kFeedForwardOutput}) {
        block.advance(pool, stage, stream);
      }
    }
  }
  return streams;
}

/// Energy of the difference over energy of the original's outputs.
double loss(const RandomModel& model, const fs::path& quantized) {
  const auto original = outputs(*formats::open_model(model.folder.path()), model);
  const auto got = outputs(*formats::open_model(quantized), model);
  double lost = 0;
  double energy = 0;
  for (std::size_t i = 0; i < original.size(); ++i) {
    for (std::size_t k = 0; k < original[i].values.size(); ++k) {
      const double difference = got[i].values[k] - original[i].values[k];
      lost += difference * difference;
      energy += static_cast<double>(original[i].values[k]) * original[i].values[k];
    }
  }
  return lost / energy;
}

double loss_of(const RandomModel& model, std::vector<std::string> more) {
  const TempFolder out;
  EXPECT_EQ(run(arguments(model, out / "q", std::move(more))), 0);
  return loss(model, out / "q");
}

TEST(Export, EveryMethodGivesAModelThatLoadsAndIsCloseToItsSource) {
  const RandomModel model;
  struct Case {
    std::vector<std::string> arguments;
    double most;  ///< loss
  };
  for (const Case& each : {
           Case{{"--method", "int8"}, 1e-3},
           Case{{"--method", "int8", "--granularity", "tensor"}, 1e-3},
           Case{{"--method", "int4", "--group-size", "32"}, 0.05},
           Case{{"--method", "int4", "--group-size", "32", "--asymmetric"}, 0.05},
           Case{{"--method", "gptq", "--bits", "4", "--group-size", "32"}, 0.03},
           Case{{"--method", "gptq", "--bits", "3", "--group-size", "32"}, 0.15},
           Case{{"--method", "gptq", "--bits", "2", "--group-size", "32", "--asymmetric"}, 0.6},
           Case{{"--method", "gptq", "--bits", "8", "--group-size", "-1"}, 1e-3},
           Case{{"--method", "gptq", "--group-size", "32", "--no-static-groups"}, 0.03},
           Case{{"--method", "awq", "--group-size", "32"}, 0.03},
           Case{{"--method", "autoround", "--group-size", "32"}, 0.03},
           Case{{"--method", "autoround", "--bits", "3", "--group-size", "32", "--asymmetric"}, 0.15},
           Case{{"--method", "qat", "--group-size", "32", "--steps", "5"}, 0.1},
           Case{{"--method", "nf4"}, 0.05},
           Case{{"--method", "fp8"}, 5e-3},
           Case{{"--method", "fp8", "--granularity", "block"}, 5e-3},
           Case{{"--method", "fp8", "--static-activations"}, 5e-3},
           Case{{"--method", "smoothquant"}, 1e-3},
           Case{{"--method", "smoothquant", "--static-activations"}, 1e-3},
       }) {
    const double lost = loss_of(model, each.arguments);
    EXPECT_LT(lost, each.most) << each.arguments[1];
    EXPECT_GT(lost, 0.0) << each.arguments[1] << " changed nothing";
  }
}

TEST(Export, CalibratedMethodsBeatRoundingAtTheSameBits) {
  const RandomModel model;
  const double rounding = loss_of(model, {"--method", "int4", "--group-size", "64"});
  EXPECT_LT(loss_of(model, {"--method", "gptq", "--group-size", "64"}), 0.7 * rounding);
  EXPECT_LT(loss_of(model, {"--method", "awq", "--group-size", "64"}), rounding);
  EXPECT_LT(loss_of(model, {"--method", "autoround", "--group-size", "64"}), 0.7 * rounding);
}

// As far as so small a model can tell; tests/bench/quantize measures larger ones.
/// Few, for methods that descend.
void add_steps(std::vector<std::string>& arguments, const char* steps) {
  if (arguments[1] == "autoround" || arguments[1] == "qat")
    arguments.insert(arguments.end(), {"--steps", steps});
}

TEST(Export, PredictsTheMemoryThatItTakes) {
  const RandomModel model;
  for (const char* method : {"int4", "gptq", "awq", "autoround", "qat"}) {
    const TempFolder out;
    std::vector<std::string> more = {"--method", method, "--group-size", "32", "--report", out / "report"};
    add_steps(more, "2");
    ASSERT_EQ(run(arguments(model, out / "q", more)), 0);
    const auto report = nlohmann::json::parse(read_file(out / "report"));
    EXPECT_NEAR(report["predictedMemoryBytes"].get<double>(), report["peakMemoryBytes"].get<double>(),
                32 << 20)
        << method;
  }
}

TEST(Export, BytesDoNotDependOnThreads) {
  const RandomModel model;
  const TempFolder out;
  for (const char* method : {"gptq", "awq", "autoround", "qat"}) {
    std::vector<std::string> more = {"--method", method, "--group-size", "32"};
    add_steps(more, "8");
    ASSERT_EQ(run(arguments(model, out / (std::string(method) + "2"), more)), 0);
    auto one = arguments(model, out / (std::string(method) + "1"), more);
    *(std::ranges::find(one, "--threads") + 1) = "1";
    ASSERT_EQ(run(one), 0);
    EXPECT_EQ(artifact_digest(out / (std::string(method) + "1")),
              artifact_digest(out / (std::string(method) + "2")));
  }
}

TEST(Export, AKilledRunGoesOnBehindItsLastBlockWithTheSameBytes) {
  const RandomModel model;
  const TempFolder whole;
  const TempFolder killed;
  const std::vector<std::string> more = {"--method", "gptq", "--group-size", "32"};
  ASSERT_EQ(run(arguments(model, whole / "q", more)), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    run(arguments(model, killed / "q", more));
    ::_exit(0);
  }
  fs::path shard;
  for (int i = 0; i < 5000 && shard.empty(); ++i) {  // until the first block's shard is there
    ::usleep(200);
    for (const auto& folder : fs::directory_iterator(killed.path())) {
      if (fs::exists(folder.path() / "model-00002-of-00003.safetensors"))
        shard = folder.path() / "model-00002-of-00003.safetensors";
    }
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_FALSE(shard.empty());
  if (!fs::exists(killed / "q")) {  // else the child was done before it was killed
    const auto written = fs::last_write_time(shard);
    fs::last_write_time(shard, written - std::chrono::hours(1));
    ASSERT_EQ(run(arguments(model, killed / "q", more)), 0);
    EXPECT_EQ(fs::last_write_time(killed / "q" / "model-00002-of-00003.safetensors"),
              written - std::chrono::hours(1))
        << "the finished block was taken up";
  }
  EXPECT_EQ(artifact_digest(killed / "q"), artifact_digest(whole / "q"));
  for (const auto& entry : fs::directory_iterator(killed.path())) EXPECT_EQ(entry.path().filename(), "q");
}

TEST(Export, ADegenerateHessianIsRecovered) {
  RandomModel model;
  write_file_atomically(model.prompts(), "{\"text\": \"a\"}\n");  // two tokens: a Hessian of rank two
  const double rounding = loss_of(model, {"--method", "int4", "--group-size", "32"});
  EXPECT_LT(loss_of(model, {"--method", "gptq", "--group-size", "32", "--damping", "0"}), 0.1 * rounding)
      << "two tokens can be kept nearly whole";
}

}  // namespace
}  // namespace stepdown::quant
