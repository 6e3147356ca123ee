#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/base/tensor.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// One tensor of the decoder under both its names, with the shape that the configuration asks for.
struct HfTensor {
  std::string hf;
  std::string gguf;
  std::vector<std::int64_t> shape;
  std::int64_t permuted_heads =
      0;                  ///< of q and k: rows go from half-split to interleaved RoPE order; 0: as they are
  bool plus_one = false;  ///< stored as the difference from 1
  std::int64_t experts = 0;  ///< so many tensors, "{e}" numbered in `hf`, become one with a dimension more
};

/// Every tensor that a checkpoint of this configuration must hold, in GGUF's customary order.
std::vector<HfTensor> hf_tensors(const ModelConfig& config);

/// Whether a checkpoint may hold this tensor although the decoder does not use it.
bool hf_tensor_is_redundant(std::string_view hf_name, const ModelConfig& config);

/// Rows [heads, 2, head_dim/2] → [heads, head_dim/2, 2]: Hugging Face rotates the halves of a head, GGUF's
/// llama rotates neighbours (llama.cpp, conversion "permute").
void permute_rope_rows(const TensorView& tensor, std::int64_t heads, std::span<std::byte> out);

}  // namespace stepdown::formats
