#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/base/tensor.h"
#include "engine/formats/gguf_metadata.h"

namespace stepdown::formats {

/// How rotary frequencies are stretched to a longer context. Llama 3's scheme is no kind of it: its factors
/// are a tensor, rope_freqs.weight. LongRoPE's (Ding et al. 2024) are two, rope_factors_short.weight for
/// contexts up to the original one and rope_factors_long.weight for longer ones.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kYarn, kLong };
  Kind kind = Kind::kNone;
  float factor = 1.0f;
  float original_context = 0.0f;  ///< YaRN, LongRoPE: the context the model was first trained with
  float attention_factor = 0.0f;  ///< of cosines and sines; 0: YaRN's 0.1·ln(factor) + 1, LongRoPE's 1
  float beta_fast = 32.0f;
  float beta_slow = 1.0f;
};

/// What a decoder needs to know, whatever file it came from. Lengths in elements.
struct ModelConfig {
  std::string architecture;  ///< GGUF's name: "llama", "qwen2", …
  std::string name;
  std::int64_t vocab = 0;
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t feed_forward = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t rope_dim = 0;
  std::int64_t context_length = 0;
  float rope_theta = 10000.0f;
  float rms_eps = 1e-5f;
  bool tied_embeddings = false;

  // What only some architectures have; the defaults are none.
  RopeScaling rope_scaling;
  float rope_theta_sliding = 0.0f;        ///< of layers with a window, unscaled; 0: as the others
  std::int64_t sliding_window = 0;        ///< tokens that a sliding layer sees; 0: all layers see everything
  std::int64_t full_attention_every = 0;  ///< every n-th layer sees everything; 0: all layers slide
  float attention_scale = 0.0f;           ///< 0: 1/√head_dim
  float attention_softcap = 0.0f;         ///< scores become cap·tanh(score/cap); 0: they stay
  float logit_softcap = 0.0f;
  float embedding_scale = 1.0f;
  float residual_scale = 1.0f;  ///< of each block's output
  float logit_scale = 1.0f;
  std::int64_t experts = 0;  ///< of each feed-forward block; 0: dense
  std::int64_t experts_used = 0;
  bool normalize_experts = true;  ///< the chosen experts' weights sum to 1
};

/// The tokenizer as the file states it; engine/tokenizer makes it work.
struct TokenizerData {
  enum class Model { kBpe, kSentencePiece };
  enum class TokenType : std::uint8_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kUnused = 5,
    kByte = 6
  };
  Model model = Model::kBpe;
  std::string pre;                  ///< GGUF's pre-tokenizer name: "default", "smollm", "llama-bpe", …
  std::vector<std::string> tokens;  ///< as stored: byte-level BPE's visible alphabet, or SPM pieces
  std::vector<TokenType> types;
  std::vector<float> scores;        ///< SentencePiece only
  std::vector<std::string> merges;  ///< "left right", by rank; BPE only
  std::optional<std::int32_t> bos, eos, unknown, padding;
  std::vector<std::int32_t> end_of_turn;  ///< further ids that end generation
  bool add_bos = false;
  bool add_space_prefix = false;
  std::string chat_template;  ///< Jinja source; empty when the model has none
};

/// An opened model: header facts plus tensor views into mapped files, which live as long as this object.
/// Tensor names and layouts are GGUF's whatever the file: "blk.0.attn_q.weight", q and k rows permuted for
/// interleaved RoPE as GGUF's converters do for llama ("output.weight" is absent when embeddings are tied).
class ModelFile {
 public:
  virtual ~ModelFile() = default;
  virtual const ModelConfig& config() const = 0;
  virtual const TokenizerData& tokenizer() const = 0;
  virtual std::span<const TensorView> tensors() const = 0;
  /// "gguf", "safetensors", …
  virtual std::string_view format() const = 0;
  /// All facts as metadata of a GGUF file: a GGUF's own, verbatim, or made from config and tokenizer.
  virtual GgufMetadata gguf_metadata() const = 0;
  /// To be called before a tensor's bytes, or a slice of them, are read: some are made from stored ones only
  /// now (q and k's rows in another order, experts side by side, merged adapters) and cannot be read before.
  /// Threads may prepare and release different tensors or slices at once. Embeddings need none of it.
  virtual void prepare(const TensorView& /*tensor*/) const {}
  /// A hint that the tensor's bytes are not needed soon: streaming readers stay small by it. What was made
  /// has to be prepared again.
  virtual void release(const TensorView& tensor) const = 0;
  /// The tensor's bytes are not read again: memory that holds a converted copy is given back too.
  virtual void discard(const TensorView& tensor) const { release(tensor); }

  /// The named tensor, or nullptr.
  const TensorView* find(std::string_view name) const;
};

/// A LoRA adapter in PEFT's format, to be merged into its base model.
struct Adapter {
  std::filesystem::path path;
  double weight = 1.0;
};

/// What merged matrices are held as: F32, for whoever writes them anew; or rounded to the base's own type, as
/// serving it takes no more memory than the base.
enum class Merged { kF32, kAsBase };

/// "PATH" or "PATH=WEIGHT" each. Throws InputError for a weight that is no number.
std::vector<Adapter> parse_adapters(const std::vector<std::string>& texts);

/// How reports name them: [{"path", "digest": "sha256:…", "weight"}].
nlohmann::json adapters_json(std::span<const Adapter> adapters);

/// Opens a GGUF file, or a directory holding one *.gguf or Hugging Face's config.json with safetensors.
/// Every length is checked before use; throws InputError that names the file, the place and the mend.
/// Adapters are merged in F32, in their order; only a Hugging Face folder that is not quantized takes them.
std::unique_ptr<ModelFile> open_model(const std::filesystem::path& path,
                                      const std::vector<Adapter>& adapters = {},
                                      Merged merged = Merged::kF32);

}  // namespace stepdown::formats
