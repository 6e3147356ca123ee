#pragma once

#include <cstdint>
#include <string_view>

#include "engine/formats/model_file.h"

namespace stepdown::model {

/// Which elements of a head rotate together.
enum class RopeLayout {
  kNeighbours,  ///< (2i, 2i+1)
  kHalves,      ///< (i, i + half)
};

/// Over what queries and keys are normed before they rotate.
enum class QueryKeyNorm { kNone, kHead, kAll };

enum class Activation { kSilu, kGelu };

/// How one family of decoders differs from the others. What can be told from the file is not in here:
/// lengths, scales and windows are its configuration's; biases, joined projections and experts show by their
/// tensors.
struct Architecture {
  std::string_view name;  ///< GGUF's general.architecture
  RopeLayout rope = RopeLayout::kHalves;
  QueryKeyNorm query_key_norm = QueryKeyNorm::kNone;
  Activation activation = Activation::kSilu;
  bool norm_before = true;           ///< each block's input is normed
  bool norm_after = false;           ///< each block's output is normed, before it joins the residual stream
  std::int64_t unrotated_every = 0;  ///< every n-th layer knows no positions; 0: none
};

/// The row of the table that GGUF knows the configuration by. Throws InputError that lists all of them.
const Architecture& find_architecture(const formats::ModelConfig& config);

}  // namespace stepdown::model
