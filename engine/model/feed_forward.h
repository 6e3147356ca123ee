#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/kernels/matmul.h"
#include "engine/model/architecture.h"
#include "engine/model/weights.h"

namespace stepdown::model {

/// One layer's gated feed-forward block: dense, or experts of which a router chooses some for each token.
struct FeedForwardWeights {
  kernels::PackedMatrix gate;  ///< not there when `up` holds both: the gate's rows first
  kernels::PackedMatrix up;
  kernels::PackedMatrix down;

  struct Expert {
    kernels::PackedMatrix gate, up, down;
  };
  kernels::PackedMatrix router;
  std::vector<Expert> experts;
};

/// An expert that a router chose for a token, and what its output weighs.
struct ExpertChoice {
  std::size_t expert;
  float weight;
};
/// The best by the router's softmax over all experts; equal ones by number.
std::vector<ExpertChoice> choose_experts(std::span<const float> probabilities,
                                         const formats::ModelConfig& config);

/// Runs the blocks; its buffers serve all layers. One thread at a time.
class FeedForward {
 public:
  FeedForward(const formats::ModelConfig& config, Activation activation, std::int64_t max_rows);

  /// Throws InputError when a tensor is missing or has another shape.
  void load(WeightLoader& loader, const std::string& prefix, FeedForwardWeights& weights) const;
  /// out[row][hidden] (+)= block(input row), rows 0…rows−1.
  void run(kernels::ThreadPool& pool, const kernels::Operations& operations,
           const FeedForwardWeights& weights, const kernels::Activations& input, std::int64_t rows,
           float* out, bool accumulate);

 private:
  /// A chosen expert of a row, and what its output weighs.
  struct Choice {
    std::int64_t row;
    float weight;
  };
  void activate(kernels::ThreadPool& pool, const kernels::Operations& operations, std::int64_t rows);
  void choose(std::int64_t row);
  void run_dense(kernels::ThreadPool& pool, const kernels::Operations& operations,
                 const FeedForwardWeights& weights, const kernels::Activations& input, std::int64_t rows,
                 float* out, bool accumulate);
  void run_experts(kernels::ThreadPool& pool, const kernels::Operations& operations,
                   const FeedForwardWeights& weights, const kernels::Activations& input, std::int64_t rows,
                   float* out, bool accumulate);

  formats::ModelConfig config_;
  Activation activation_;
  kernels::Activations gated_;
  std::vector<float> ups_;
  std::vector<float> joined_;  ///< [row]{gate, up} of joined weights

  std::vector<float> router_;                 ///< [row][expert]
  std::vector<std::vector<Choice>> choices_;  ///< by expert
  kernels::Activations gathered_;             ///< the rows of one expert
  std::vector<float> expert_out_;
};

}  // namespace stepdown::model
