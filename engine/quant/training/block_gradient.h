#pragma once

#include <vector>

#include "engine/quant/calibration/decoder_block.h"
#include "engine/quant/matrix.h"

/// Training of small models on the CPU: whole prompts, plain floats, one prompt at a time.
namespace stepdown::quant {

/// What the way back through a block needs of the way there, for one prompt; [tokens][…].
struct BlockTape {
  Matrix stream;  ///< residual stream before the block
  Matrix attention_input;
  Matrix queries, keys, values;  ///< rotated
  Matrix attended;
  Matrix middle;  ///< residual stream between attention and feed-forward
  Matrix feed_forward_input;
  Matrix gate, up, hidden;
};

/// The block's output for one prompt with this residual stream. Llama's block alone.
Matrix forward(kernels::ThreadPool& pool, const DecoderBlock& block, const Matrix& stream, BlockTape& tape);

/// Gradient by the stream, given the gradient by the output; adds those by the linear layers' weights to
/// `by_weight`, which has the block's linears in their order.
Matrix backward(kernels::ThreadPool& pool, const DecoderBlock& block, const BlockTape& tape,
                const Matrix& by_output, std::vector<Matrix>& by_weight);

/// Gradient by the input of RMSNorm with these weights.
Matrix norm_backward(const Matrix& input, const std::vector<float>& weight, float epsilon,
                     const Matrix& by_output);

Matrix transposed(const Matrix& matrix);

}  // namespace stepdown::quant
