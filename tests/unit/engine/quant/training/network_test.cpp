// Gradients against finite differences of the loss.
#include "engine/quant/training/network.h"

#include <cmath>

#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>

namespace stepdown::quant {
namespace {

struct Task {
  RandomModel folder{0.15f};
  std::unique_ptr<formats::ModelFile> file = formats::open_model(folder.folder.path());
  kernels::ThreadPool pool{2};
  Network network{*file};
  Matrix embeddings{11, 64};
  Matrix wanted;
  Network::Tape tape;

  Task() {
    for (std::size_t i = 0; i < embeddings.values.size();
         ++i) {  // tokens that differ, so that attention counts
      embeddings.values[i] = 0.3f * std::sin(static_cast<float>(i * i % 997));
    }
    Network teacher(*file);
    for (DecoderBlock& block : teacher.blocks()) {  // another model than the student
      for (Linear& linear : block.linears()) {
        for (std::size_t i = 0; i < linear.weight.values.size(); i += 3) linear.weight.values[i] *= -1;
      }
    }
    wanted = teacher.forward(pool, embeddings, tape);
  }

  double loss() {
    Matrix logits = network.forward(pool, embeddings, tape);
    return distill(wanted, logits);
  }
};

TEST(Network, GradientsAreThoseOfTheLoss) {
  Task task;
  Matrix by_logits = task.network.forward(task.pool, task.embeddings, task.tape);
  ASSERT_GT(distill(task.wanted, by_logits), 0.01);
  LayerWeights gradient = task.network.zeros();
  task.network.backward(task.pool, task.tape, by_logits, gradient);
  for (std::size_t layer = 0; layer < gradient.size(); ++layer) {
    for (std::size_t i = 0; i < gradient[layer].size(); ++i) {
      Linear& linear = task.network.blocks()[layer].linears()[i];
      const std::vector<float>& slope = gradient[layer][i].values;
      double length = 0;
      for (const float x : slope) length += static_cast<double>(x) * x;
      length = std::sqrt(length);
      ASSERT_GT(length, 0) << linear.name;
      const std::vector<float> before = linear.weight.values;
      const auto at = [&](double distance) {  // along the gradient
        for (std::size_t k = 0; k < before.size(); ++k) {
          linear.weight.values[k] = static_cast<float>(before[k] + distance * slope[k] / length);
        }
        return task.loss();
      };
      constexpr double kDistance = 0.02;
      const double measured = (at(kDistance) - at(-kDistance)) / (2 * kDistance);
      linear.weight.values = before;
      EXPECT_NEAR(measured / length, 1.0, 0.02) << "layer " << layer << " " << linear.name;
    }
  }
}

TEST(Network, SaysWhatTheCalibrationBlocksSay) {
  Task task;
  Matrix stream = task.embeddings;
  for (const DecoderBlock& block : task.network.blocks()) {
    for (const Stage stage : {Stage::kAttentionOutput, Stage::kFeedForwardOutput}) {
      block.advance(task.pool, stage, stream);
    }
  }
  task.network.forward(task.pool, task.embeddings, task.tape);
  EXPECT_EQ(task.tape.last.values, stream.values);
}

TEST(Distill, IsZeroWithoutGradientForEqualLogits) {
  Matrix teacher(2, 3);
  teacher.values = {1, 2, 3, -1, 0, 5};
  Matrix student = teacher;
  for (float& x : student.values) x += 7;  // the same distribution
  EXPECT_NEAR(distill(teacher, student), 0.0, 1e-6);
  for (const float x : student.values) EXPECT_NEAR(x, 0.0f, 1e-6f);
}

}  // namespace
}  // namespace stepdown::quant
