#pragma once

#include "engine/quant/training/network.h"

namespace stepdown::quant {

/// Adam (Kingma & Ba 2015) over the weights of linear layers.
class Adam {
 public:
  explicit Adam(const Network& network) : mean_(network.zeros()), square_(network.zeros()) {}

  /// weights −= rate · …, for the `step`-th step, from 1.
  void step(kernels::ThreadPool& pool, int step, float rate, const LayerWeights& gradient,
            LayerWeights& weights);

  LayerWeights& mean() { return mean_; }
  LayerWeights& square() { return square_; }

 private:
  LayerWeights mean_;
  LayerWeights square_;
};

}  // namespace stepdown::quant
