#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/thread_pool.h"
#include "engine/model/layer_rule.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// Rows of each prompt where several lie one behind another in a matrix; empty: all rows are one prompt's.
using Lengths = std::span<const std::int64_t>;

/// What a block's attention works on: [tokens][heads · head_dim], rotated.
struct AttentionInputs {
  Matrix queries, keys, values;
};

/// Which elements of a head rotate, and by how much a position.
struct Rotation {
  std::vector<float> frequencies;  ///< of each pair of a head; empty: nothing rotates
  float magnitude = 1.0f;          ///< of cosines and sines
  std::int64_t apart = 0;          ///< from a pair's first element to its second
};

/// Rotates every head of every row, its position counted from its prompt's start; `direction` −1: back.
void rotate(const Rotation& rotation, std::int64_t head_dim, Lengths lengths, Matrix& rows,
            float direction = 1.0f);

/// Causal attention of every prompt to itself, [tokens][heads · head_dim]. Its bits do not depend on the
/// threads, nor a prompt's on those beside it.
Matrix attend(kernels::ThreadPool& pool, const model::AttentionRule& rule, std::int64_t head_dim,
              Lengths lengths, const AttentionInputs& inputs);

}  // namespace stepdown::quant
