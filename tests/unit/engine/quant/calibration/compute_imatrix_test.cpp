#include "engine/quant/calibration/compute_imatrix.h"

#include <csignal>
#include <cstring>

#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/formats/model_file.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using formats::TempFolder;

constexpr int kLayers = 24;

/// RandomModel's second block, over and over.
struct DeepModel : RandomModel {
  DeepModel() {
    config["num_hidden_layers"] = kLayers;
    const std::string second = "model.layers.1.";
    const auto two_layers = tensors;
    for (int layer = 2; layer < kLayers; ++layer) {
      for (const auto& [name, tensor] : two_layers) {
        if (name.starts_with(second))
          tensors["model.layers." + std::to_string(layer) + "." + name.substr(second.size())] = tensor;
      }
    }
    write();
  }
};

/// How many layers a state is of.
int layers_of(const fs::path& state) {
  const std::string bytes = read_file(state);
  std::uint64_t head = 0;
  std::memcpy(&head, bytes.data(), sizeof head);
  return nlohmann::json::parse(bytes.substr(sizeof head, head)).at("layer");
}

struct Task {
  DeepModel folder;
  std::unique_ptr<formats::ModelFile> model = formats::open_model(folder.folder.path());
  CalibrationSet calibration{*model, request()};
  TempFolder kept;
  fs::path state = kept / "state";

  CalibrationRequest request() const {
    CalibrationRequest chosen;
    chosen.path = folder.prompts();
    return chosen;
  }
  formats::Imatrix run(const fs::path& where) const { return compute_imatrix(*model, calibration, 2, where); }
};

TEST(ComputeImatrix, GoesOnAfterAKillToTheSameBits) {
  const Task task;
  const formats::Imatrix wanted = task.run({});
  ASSERT_EQ(wanted.columns.size(), 7U * kLayers);
  int layers = kLayers;
  for (int attempt = 0; attempt < 50 && layers == kLayers; ++attempt) {  // on a busy machine it may be done
    fs::remove(task.state);
    const pid_t child = ::fork();
    if (child == 0) {
      task.run(task.state);
      ::_exit(0);
    }
    for (int i = 0; i < 50000 && !fs::exists(task.state); ++i) ::usleep(100);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(fs::exists(task.state));
    layers = layers_of(task.state);
  }
  ASSERT_LT(layers, kLayers);
  const formats::Imatrix got = task.run(task.state);
  EXPECT_EQ(got.columns, wanted.columns);
  EXPECT_EQ(got.dataset, wanted.dataset);
  EXPECT_EQ(got.chunks, wanted.chunks);
  EXPECT_EQ(layers_of(task.state), kLayers) << "the whole matrix is kept until the file is written";
}

TEST(ComputeImatrix, AWholeMatrixIsNotComputedAgain) {
  const Task task;
  const formats::Imatrix wanted = task.run(task.state);
  const auto written = fs::last_write_time(task.state) - std::chrono::hours(1);
  fs::last_write_time(task.state, written);
  EXPECT_EQ(task.run(task.state).columns, wanted.columns);
  EXPECT_EQ(fs::last_write_time(task.state), written);
  EXPECT_LT(fs::file_size(task.state), 7 * kLayers * (128 * sizeof(float) + 64))
      << "prompts are gone from it";
}

// The encoders' sums would overflow, and their scales be NaN.
TEST(ComputeImatrix, InputsThatNoSoundModelHasAreRefusedByTheTensorThatReadsThem) {
  RandomModel model;
  auto& norm = model.tensors["model.layers.1.post_attention_layernorm.weight"];
  const float huge = 1e12f;
  norm.dtype = "F32";
  norm.bytes.clear();
  for (int i = 0; i < 64; ++i) norm.bytes.append(reinterpret_cast<const char*>(&huge), sizeof huge);
  model.write();
  const auto file = formats::open_model(model.folder.path());
  CalibrationRequest request;
  request.path = model.prompts();
  const CalibrationSet calibration(*file, request);
  try {
    compute_imatrix(*file, calibration, 2, {});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("tensor 'blk.1.ffn_")) << error.what();
    EXPECT_NE(std::string(error.what()).find("not sound"), std::string::npos) << error.what();
  }
}

TEST(ComputeImatrix, WithoutRoomForAStateTheWorkGoesOn) {
  const Task task;
  fs::create_symlink("/dev/full", task.kept / "state.next");
  EXPECT_EQ(task.run(task.state).columns, task.run({}).columns);
}

}  // namespace
}  // namespace stepdown::quant
