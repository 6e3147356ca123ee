#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/architecture.h"
#include "engine/model/layer_rule.h"
#include "engine/quant/calibration/prompt_attention.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// The steps of a decoder block whose linear layers read the same. In order of work.
enum class Stage { kAttentionInput, kAttentionOutput, kFeedForwardInput, kFeedForwardOutput };
inline constexpr std::array kStages = {Stage::kAttentionInput, Stage::kAttentionOutput,
                                       Stage::kFeedForwardInput, Stage::kFeedForwardOutput};

/// Of a linear layer by GGUF's name within the block.
Stage stage_of(std::string_view gguf);

/// Where linear layers read: an expert's read only the tokens that the router gives it.
struct Place {
  static constexpr std::int64_t kNoExpert = -1;
  Stage stage;
  std::int64_t expert = kNoExpert;
  bool operator==(const Place&) const = default;
};

/// A linear layer that a method may change.
struct Linear {
  std::string name;       ///< Hugging Face's within the block: "self_attn.q_proj"
  std::string_view gguf;  ///< "attn_q"; of an expert that of the tensor that holds all of them
  Place place;
  Matrix weight;            ///< [outputs][inputs], in Hugging Face's order of rows
  std::vector<float> bias;  ///< empty: none
};

/// What else a block holds: norms, and the router of experts.
struct BlockTensor {
  std::string_view name;  ///< Hugging Face's within the block: "input_layernorm.weight"
  std::string_view gguf;  ///< "attn_norm.weight"
  std::vector<std::int64_t> shape;
  std::vector<float> values;
  bool plus_one;  ///< stored as the difference from 1

  /// Rounds the values as a checkpoint of binary16 will hold them.
  void round();
};
/// A value as binary16 holds it, or holds its difference from 1.
float as_stored(float value, bool plus_one);

/// One decoder block in plain floats, for calibration: it computes what its linear layers read, on whole
/// prompts, without a KV cache, and only one block is in memory at a time. Any architecture that the engine
/// runs.
class DecoderBlock {
 public:
  /// Loads layer `index`; `context`: tokens of the longest prompt, which LongRoPE asks for. Throws InputError
  /// when a tensor is missing or holds values that are not finite.
  DecoderBlock(const formats::ModelFile& model, std::int64_t index, std::int64_t context = 0);

  std::int64_t index() const { return index_; }
  const formats::ModelConfig& config() const { return config_; }
  const model::Architecture& architecture() const { return architecture_; }
  const model::LayerRule& rule() const { return rule_; }
  std::vector<Linear>& linears() { return linears_; }
  const std::vector<Linear>& linears() const { return linears_; }
  /// By GGUF's name, or nullptr.
  Linear* find(std::string_view gguf, std::int64_t expert = Place::kNoExpert);
  const Linear* find(std::string_view gguf, std::int64_t expert = Place::kNoExpert) const;
  Linear& linear(std::string_view gguf, std::int64_t expert = Place::kNoExpert) {
    return *find(gguf, expert);
  }
  const Linear& linear(std::string_view gguf, std::int64_t expert = Place::kNoExpert) const {
    return *find(gguf, expert);
  }
  std::vector<BlockTensor>& others() { return others_; }
  const std::vector<BlockTensor>& others() const { return others_; }
  /// The norm before kAttentionInput or kFeedForwardInput, or nullptr.
  BlockTensor* norm(Stage stage);
  const BlockTensor* norm(Stage stage) const;
  /// [experts][hidden], or nullptr.
  BlockTensor* router();
  const BlockTensor* router() const;
  /// Every place that linear layers read at, in order of work.
  std::vector<Place> places() const;

  /// What the place's linears read for prompts with this residual stream, [tokens][inputs]. Without an
  /// expert kFeedForwardInput is what the router reads.
  Matrix inputs(kernels::ThreadPool& pool, Place place, const Matrix& stream, Lengths lengths = {}) const;
  /// Adds attention's (kAttentionOutput) or the feed-forward's (kFeedForwardOutput) result to the stream;
  /// nothing behind other stages.
  void advance(kernels::ThreadPool& pool, Stage stage, Matrix& stream, Lengths lengths = {}) const;
  /// The same, given what inputs() of that stage gave; of a block without experts.
  void add_output(kernels::ThreadPool& pool, Stage stage, const Matrix& inputs, Matrix& stream) const;
  /// From what the stage kAttentionInput reads to what attention works on, and on to what the stage
  /// kAttentionOutput reads.
  AttentionInputs attention_inputs(kernels::ThreadPool& pool, const Matrix& normed,
                                   Lengths lengths = {}) const;
  Matrix attention(kernels::ThreadPool& pool, const AttentionInputs& inputs, Lengths lengths = {}) const;
  /// Turns what is rotated (or a gradient by it) back.
  void rotate_back(Matrix& rows) const;

 private:
  struct Choice {
    std::int64_t row;
    float weight;
  };
  void load_linear(const formats::ModelFile& model, std::string_view hf, std::string_view gguf,
                   std::int64_t heads);
  void load_other(const formats::ModelFile& model, std::string_view hf, std::string_view gguf, bool plus_one);
  void load_rope(const formats::ModelFile& model, std::int64_t context);
  Matrix before(Stage stage, const Matrix& stream) const;
  Matrix hidden_units(kernels::ThreadPool& pool, const Matrix& input, std::int64_t expert) const;
  std::vector<std::vector<Choice>> route(kernels::ThreadPool& pool, const Matrix& input) const;
  /// What an expert's tokens read.
  static Matrix rows_of(const Matrix& input, const std::vector<Choice>& chosen);
  void join(Stage stage, Matrix out, Matrix& stream) const;
  const BlockTensor* other(std::string_view gguf) const;

  std::int64_t index_;
  formats::ModelConfig config_;
  model::Architecture architecture_;
  model::LayerRule rule_;
  Rotation rotation_;
  std::vector<Linear> linears_;
  std::vector<BlockTensor> others_;
};

/// Each row over its root mean square, times the weights.
Matrix normed(const Matrix& stream, const std::vector<float>& weight, float epsilon);

/// A tensor of the model by its GGUF name as floats, or some of its rows. Throws InputError when it is
/// missing or holds values that are not finite.
Matrix load_matrix(const formats::ModelFile& model, const std::string& gguf_name);
Matrix load_rows(const formats::ModelFile& model, const std::string& gguf_name, std::int64_t first,
                 std::int64_t count);

}  // namespace stepdown::quant
