#include "engine/quant/training/quantization_aware.h"

#include <csignal>

#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

struct Task {
  RandomModel folder{0.15f};
  std::unique_ptr<formats::ModelFile> file = formats::open_model(folder.folder.path());
  CalibrationSet prompts = [&] {
    CalibrationRequest request;
    request.path = folder.prompts();
    return CalibrationSet(*file, request);
  }();
  WeightSettings settings{.bits = 3, .group_size = 32};
  TrainingLimits limits{.steps = 130, .rate = 2e-3f};
  formats::TempFolder state;

  Trained run() { return train(*file, prompts, settings, limits, 2, state / "state"); }
};

TEST(QuantizationAwareTraining, BringsTheRoundedModelNearerToItsTeacher) {
  Task task;
  const Trained trained = task.run();
  EXPECT_EQ(trained.steps, 130);
  EXPECT_FALSE(trained.out_of_time);
  EXPECT_LT(trained.last_loss, 0.5 * trained.first_loss);
}

TEST(QuantizationAwareTraining, ThatMadeTheModelWorseIsRefused) {
  for (const float rate : {0.5f, 1e9f, 1e30f}) {
    Task task;
    task.limits.rate = rate;
    task.limits.steps = 25;
    try {
      task.run();
      ADD_FAILURE() << rate;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("its loss rose from"), std::string::npos) << error.what();
    }
  }
}

TEST(QuantizationAwareTraining, EndsAtItsTimeByTheClock) {
  Task task;
  int looks = 0;
  task.limits.now = [&looks] { return steady_clock::time_point(std::chrono::minutes(looks++)); };
  task.limits.time = std::chrono::minutes(10);
  const Trained trained = task.run();
  EXPECT_TRUE(trained.out_of_time);
  EXPECT_EQ(trained.steps, 9) << "the first look is the start, the tenth after it finds the time over";
}

TEST(QuantizationAwareTraining, GoesOnAfterAKillToTheSameWeights) {
  Task undisturbed;
  const LayerWeights wanted = undisturbed.run().weights;
  Task killed;
  const fs::path state = killed.state / "state";
  const pid_t child = ::fork();
  if (child == 0) {
    killed.run();
    ::_exit(0);
  }
  for (int i = 0; i < 20000 && !fs::exists(state); ++i) ::usleep(1000);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_TRUE(fs::exists(state));
  int looks = 0;
  killed.limits.now = [&looks] { return ++looks, steady_clock::now(); };
  const LayerWeights got = killed.run().weights;
  EXPECT_LT(looks, 100) << "finished steps are not repeated";
  for (std::size_t layer = 0; layer < wanted.size(); ++layer) {
    for (std::size_t i = 0; i < wanted[layer].size(); ++i) {
      EXPECT_EQ(got[layer][i].values, wanted[layer][i].values) << layer << "." << i;
    }
  }
}

TEST(QuantizationAwareTraining, AStateOfAnotherModelIsNotTaken) {
  Task task;
  task.limits.steps = 60;
  write_file_atomically(task.state / "state", "short");
  EXPECT_EQ(task.run().steps, 60);
}

}  // namespace
}  // namespace stepdown::quant
