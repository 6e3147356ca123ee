#pragma once

#include <memory>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/quant/training/block_gradient.h"

namespace stepdown::quant {

/// Gradients (or anything of their shapes) by the linear layers' weights: [layer][linear].
using LayerWeights = std::vector<std::vector<Matrix>>;

/// A whole decoder in plain floats. Its linear layers may be changed between runs; embeddings, norms and the
/// output matrix are the file's, and copies share the latter.
class Network {
 public:
  explicit Network(const formats::ModelFile& model);

  std::vector<DecoderBlock>& blocks() { return blocks_; }
  const std::vector<DecoderBlock>& blocks() const { return blocks_; }
  LayerWeights zeros() const;

  struct Tape {
    std::vector<BlockTape> blocks;
    Matrix last;  ///< residual stream behind the last block
  };
  /// Logits behind each token of one prompt, given its embeddings.
  Matrix forward(kernels::ThreadPool& pool, const Matrix& embeddings, Tape& tape) const;
  void backward(kernels::ThreadPool& pool, const Tape& tape, const Matrix& by_logits,
                LayerWeights& by_weight) const;

 private:
  struct Head {
    std::vector<float> norm;
    Matrix weight;  ///< [vocab][hidden]
    Matrix back;    ///< its transpose
  };
  float epsilon_;
  std::vector<DecoderBlock> blocks_;
  std::shared_ptr<const Head> head_;
};

/// The mean over tokens of KL(softmax(teacher) ‖ softmax(student)) in nats; `student` becomes its gradient.
double distill(const Matrix& teacher, Matrix& student);

}  // namespace stepdown::quant
