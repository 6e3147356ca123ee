#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/thread_pool.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// Points of a decoder block where linear layers read: those of one stage share their input. In order of
/// work.
enum class Stage { kAttentionInput, kAttentionOutput, kFeedForwardInput, kFeedForwardOutput };
inline constexpr std::array kStages = {Stage::kAttentionInput, Stage::kAttentionOutput,
                                       Stage::kFeedForwardInput, Stage::kFeedForwardOutput};

/// A linear layer that a method may change.
struct Linear {
  std::string_view name;  ///< Hugging Face's within the block: "self_attn.q_proj"
  std::string_view gguf;  ///< "attn_q"
  Stage stage;
  Matrix weight;  ///< [outputs][inputs], in Hugging Face's order of rows
};

/// What a block's attention works on, for one prompt: [tokens][heads · head_dim], rotated.
struct AttentionInputs {
  Matrix queries, keys, values;
};

/// One decoder block in plain floats, for calibration: it computes what its linear layers read, on whole
/// prompts, without a KV cache, and only one block is in memory at a time. Llama's (RMSNorm, half-split RoPE,
/// grouped queries, SwiGLU).
class DecoderBlock {
 public:
  /// Loads layer `index`. Throws InputError when a tensor is missing or holds values that are not finite.
  DecoderBlock(const formats::ModelFile& model, std::int64_t index);

  std::int64_t index() const { return index_; }
  const formats::ModelConfig& config() const { return config_; }
  std::vector<Linear>& linears() { return linears_; }
  const std::vector<Linear>& linears() const { return linears_; }
  Linear& linear(std::string_view name);
  const Linear& linear(std::string_view name) const;
  /// Scale of the norm before a stage; only of kAttentionInput and kFeedForwardInput.
  std::vector<float>& norm(Stage stage) { return stage == Stage::kAttentionInput ? input_norm_ : post_norm_; }
  const std::vector<float>& norm(Stage stage) const {
    return stage == Stage::kAttentionInput ? input_norm_ : post_norm_;
  }

  /// What the stage's linears read for one prompt with this residual stream, [tokens][hidden].
  Matrix inputs(kernels::ThreadPool& pool, Stage stage, const Matrix& stream) const;
  /// Adds attention's (kAttentionOutput) or the feed-forward's (kFeedForwardOutput) result to the stream,
  /// given what inputs() of that stage gave.
  void add_output(kernels::ThreadPool& pool, Stage stage, const Matrix& inputs, Matrix& stream) const;
  /// From what the stage kAttentionInput reads to what attention works on, and on to what the stage
  /// kAttentionOutput reads.
  AttentionInputs attention_inputs(kernels::ThreadPool& pool, const Matrix& normed) const;
  Matrix attention(kernels::ThreadPool& pool, const AttentionInputs& inputs) const;
  /// Turns what is rotated (or a gradient by it) back.
  void rotate_back(Matrix& rows) const;

 private:
  std::int64_t index_;
  formats::ModelConfig config_;
  std::vector<double> angles_;  ///< of each pair of a head at position 1
  std::vector<Linear> linears_;
  std::vector<float> input_norm_;
  std::vector<float> post_norm_;
};

/// Each row over its root mean square, times the weights.
Matrix normed(const Matrix& stream, const std::vector<float>& weight, float epsilon);

/// inputs · weightᵀ.
Matrix product(kernels::ThreadPool& pool, const Matrix& inputs, const Matrix& weight);

/// A tensor of the model by its GGUF name as floats, rows in Hugging Face's order: those of attn_q and attn_k
/// are put back. Throws InputError when it is missing or holds values that are not finite.
Matrix load_matrix(const formats::ModelFile& model, const std::string& gguf_name);

}  // namespace stepdown::quant
