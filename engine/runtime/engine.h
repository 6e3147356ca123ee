#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/base/error.h"
#include "engine/formats/model_file.h"
#include "engine/kernels/cuda/device_choice.h"
#include "engine/model/kv_type.h"
#include "engine/runtime/token_constraint.h"
#include "engine/tokenizer/tokenizer.h"

namespace stepdown::runtime {

using tokenizer::TokenId;

using model::KvType;

struct EngineOptions {
  std::int64_t context = 0;        ///< tokens a sequence may hold; 0: the model's own, at most 8192
  std::int64_t max_sequences = 4;  ///< decoded together
  KvType kv_type = KvType::kF16;
  std::vector<std::int64_t> f16_kv_layers = {};  ///< that keep binary16 whatever kv_type says
  int threads = 0;                               ///< 0: all cores this process may use
  std::int64_t prefill_chunk = 256;              ///< prompt tokens a step
  std::size_t max_queue = 256;                   ///< that may wait while as many as may be are decoded
  std::int64_t kv_tokens = 0;  ///< that the KV cache holds, over all sequences; 0: max_sequences × context
  bool share_prefixes = true;  ///< sequences that begin alike compute their beginning once
  std::int64_t draft_tokens = 0;  ///< that a step may guess and check for each sequence, at most 16; 0: none
  kernels::cuda::DeviceRequest device = {};  ///< what computes
};

struct Sampling {
  float temperature = 0.0f;  ///< 0: greedy
  float top_p = 1.0f;
  float min_p = 0.0f;
  std::int32_t top_k = 0;  ///< 0: all
  std::uint64_t seed = 0;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  std::map<TokenId, float> logit_bias;
};

enum class FinishReason { kStop, kLength, kCancelled, kNonFinite, kDeadline };

/// What ended a sequence before its vector was there.
class Unfinished : public Error {
 public:
  explicit Unfinished(FinishReason reason) : Error("the engine ended it"), reason_(reason) {}
  FinishReason reason() const { return reason_; }

 private:
  FinishReason reason_;
};

/// Where a sequence's time went; seconds.
struct Timing {
  double queue = 0.0;              ///< until it was first admitted
  double prefill = 0.0;            ///< from there to its first token
  double decode = 0.0;             ///< from there to its end
  std::int64_t prefix_tokens = 0;  ///< of its prompt that others had computed
};

/// One generated token, or the end of the sequence (token −1, finish set).
struct TokenEvent {
  TokenId token = -1;
  float logprob = 0.0f;                                 ///< of the token under the unmasked distribution
  float entropy = 0.0f;                                 ///< nats, of the same distribution
  std::vector<std::pair<TokenId, float>> top_logprobs;  ///< as many as asked for
  std::optional<FinishReason> finish;
  bool too_ambiguous = false;  ///< with kLength: going on by the grammar would take too much work
  Timing timing;               ///< with `finish`
};

struct GenerateRequest {
  std::vector<TokenId> prompt;
  std::int64_t max_tokens = 256;
  Sampling sampling;
  std::int32_t top_logprobs = 0;
  std::unique_ptr<TokenConstraint> constraint;  ///< none: free text
  bool ignore_end = false;                      ///< benchmarks: do not stop at end tokens
  std::int32_t priority = 0;                    ///< the lower the sooner
  std::string client;                           ///< whose it is: clients of one priority are served in turns
  /// When the answer is worth nothing any more: the sequence ends with kDeadline.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  /// Called from the engine's thread for each token and once for the end; must be quick and not throw.
  std::function<void(const TokenEvent&)> on_event;
};

/// A text whose vector is wanted.
struct EmbedRequest {
  std::vector<TokenId> tokens;
  std::int32_t priority = 0;  ///< this and what follows as in GenerateRequest
  std::string client;
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

struct EngineStats {
  std::int64_t running = 0, waiting = 0;
  std::uint64_t prompt_tokens = 0, generated_tokens = 0, steps = 0;
  std::uint64_t prefix_queries = 0, prefix_hits = 0;  ///< prompt tokens, and how many of them were known
  std::uint64_t preemptions = 0;
  std::uint64_t drafted_tokens = 0, held_tokens = 0;  ///< guessed, and how many of them held
  double typical_seconds =
      0.0;                ///< from a sequence's first step to its end, a moving mean; 0: none has ended
  double kv_usage = 0.0;  ///< 0…1 of the paged cache
  /// When the last real forward step ended: the readiness heartbeat.
  std::chrono::steady_clock::time_point last_step{};
};

/// The options as an engine of this model runs them: what was left open is filled in. Throws InputError for
/// what the model cannot do.
EngineOptions resolved(EngineOptions options, const formats::ModelConfig& config);

/// A loaded model with its scheduler: continuous batching over a paged KV cache, one thread that steps, owned
/// and joined here. submit, cancel and stats are safe from any thread.
class Engine {
 public:
  /// `draft`: a model of the same vocabulary that guesses ahead, mostly `file` quantized; null: guesses come
  /// from the text. Throws InputError when an architecture is unknown, a tensor is missing or has a wrong
  /// shape, the context asked for is beyond a model's, the cache would not hold one, or the vocabularies
  /// differ.
  Engine(std::unique_ptr<formats::ModelFile> file, const EngineOptions& options,
         std::unique_ptr<formats::ModelFile> draft = nullptr);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  using RequestId = std::uint64_t;
  enum class Refusal { kQueueFull, kPromptTooLong, kStopping };
  struct Submitted {
    RequestId id = 0;
    std::optional<Refusal> refusal;
  };
  struct SubmittedAll {
    std::vector<RequestId> ids;
    std::vector<std::future<std::vector<float>>> vectors;  ///< of texts; throw Unfinished
    std::optional<Refusal> refusal;
  };
  /// Throws InputError for an empty prompt (unless the model has a BOS, which it then becomes) or an id
  /// outside the vocabulary.
  Submitted submit(GenerateRequest request);
  /// All of them, or none when they do not find room together.
  SubmittedAll submit_all(std::vector<GenerateRequest> requests);
  SubmittedAll submit_all(std::vector<EmbedRequest> requests);
  /// That can wait and be decoded at one time: more find no room however often they are submitted.
  std::size_t most_at_once() const;
  void cancel(RequestId id);

  /// Natural-log probability of each token given those before it: size tokens−1. Runs in the scheduler
  /// between other work; blocks. At most `context` tokens; throws InputError beyond, and Error when the
  /// engine stops. Where logits are not finite the value is NaN.
  std::vector<float> score(std::span<const TokenId> tokens);

  /// One vector for the text, of length 1: the mean of its tokens' last hidden states. As score(): waits for
  /// its turn however long the queue is.
  std::vector<float> embed(std::span<const TokenId> tokens);

  EngineStats stats() const;
  const formats::ModelConfig& config() const;
  const EngineOptions& options() const;  ///< with defaults resolved
  std::string_view device() const;       ///< what computes: "cpu", or a GPU's name
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer() const;
  ConstraintFactory& constraints();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::runtime
