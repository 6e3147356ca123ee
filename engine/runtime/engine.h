#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/formats/model_file.h"
#include "engine/model/kv_type.h"
#include "engine/runtime/token_constraint.h"
#include "engine/tokenizer/tokenizer.h"

namespace stepdown::runtime {

using tokenizer::TokenId;

using model::KvType;

struct EngineOptions {
  std::int64_t context = 0;        ///< tokens a sequence may hold; 0: the model's own, at most 8192
  std::int64_t max_sequences = 4;  ///< decoded together; KV memory is context × this
  KvType kv_type = KvType::kF16;
  int threads = 0;                   ///< 0: all cores this process may use
  std::int64_t prefill_chunk = 256;  ///< prompt tokens a step
  std::size_t max_queue = 256;       ///< waiting requests; beyond it submit() refuses
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

enum class FinishReason { kStop, kLength, kCancelled, kNonFinite };

/// One generated token, or the end of the sequence (token −1, finish set).
struct TokenEvent {
  TokenId token = -1;
  float logprob = 0.0f;                                 ///< of the token under the unmasked distribution
  float entropy = 0.0f;                                 ///< nats, of the same distribution
  std::vector<std::pair<TokenId, float>> top_logprobs;  ///< as many as asked for
  std::optional<FinishReason> finish;
};

struct GenerateRequest {
  std::vector<TokenId> prompt;
  std::int64_t max_tokens = 256;
  Sampling sampling;
  std::int32_t top_logprobs = 0;
  std::unique_ptr<TokenConstraint> constraint;  ///< none: free text
  bool ignore_end = false;                      ///< benchmarks: do not stop at end tokens
  /// Called from the engine's thread for each token and once for the end; must be quick and not throw.
  std::function<void(const TokenEvent&)> on_event;
};

struct EngineStats {
  std::int64_t running = 0, waiting = 0;
  std::uint64_t prompt_tokens = 0, generated_tokens = 0, steps = 0;
  double kv_usage = 0.0;  ///< 0…1 of the paged cache
  /// When the last real forward step ended: the readiness heartbeat.
  std::chrono::steady_clock::time_point last_step{};
};

/// A loaded model with its scheduler: continuous batching over a paged KV cache, one thread that steps, owned
/// and joined here. submit, cancel and stats are safe from any thread.
class Engine {
 public:
  /// Throws InputError when the architecture is unknown, a tensor is missing or has a wrong shape, or the
  /// context asked for is beyond the model's.
  Engine(std::unique_ptr<formats::ModelFile> file, const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  using RequestId = std::uint64_t;
  enum class Refusal { kQueueFull, kPromptTooLong, kStopping };
  struct Submitted {
    RequestId id = 0;
    std::optional<Refusal> refusal;
  };
  /// Throws InputError for an empty prompt (unless the model has a BOS, which it then becomes) or an id
  /// outside the vocabulary.
  Submitted submit(GenerateRequest request);
  void cancel(RequestId id);

  /// Natural-log probability of each token given those before it: size tokens−1. Runs in the scheduler
  /// between other work; blocks. At most `context` tokens; throws InputError beyond, and Error when the
  /// engine stops. Where logits are not finite the value is NaN.
  std::vector<float> score(std::span<const TokenId> tokens);

  EngineStats stats() const;
  const formats::ModelConfig& config() const;
  const EngineOptions& options() const;  ///< with defaults resolved
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer() const;
  ConstraintFactory& constraints();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::runtime
