#include "engine/runtime/engine.h"

#include <cmath>
#include <condition_variable>
#include <cstring>
#include <future>
#include <limits>
#include <mutex>

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/base/half.h"

namespace stepdown::runtime {
namespace {

std::filesystem::path folder() {
  return std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime/tied_gqa";
}

// A model like another, but for one tensor's bytes.
class Altered final : public formats::ModelFile {
 public:
  explicit Altered(std::unique_ptr<formats::ModelFile> base)
      : base_(std::move(base)), tensors_(base_->tensors().begin(), base_->tensors().end()) {}
  const formats::ModelConfig& config() const override { return base_->config(); }
  const formats::TokenizerData& tokenizer() const override { return base_->tokenizer(); }
  std::span<const TensorView> tensors() const override { return tensors_; }
  std::string_view format() const override { return base_->format(); }
  formats::GgufMetadata gguf_metadata() const override { return base_->gguf_metadata(); }
  void prepare(const TensorView& tensor) const override { base_->prepare(tensor); }
  void release(const TensorView& /*tensor*/) const override {}

  TensorView& tensor(std::string_view name) {
    for (TensorView& tensor : tensors_) {
      if (tensor.name == name) return tensor;
    }
    throw std::out_of_range(std::string(name));
  }
  void drop(std::string_view name) {
    std::erase_if(tensors_, [&](const TensorView& tensor) { return tensor.name == name; });
  }
  // Gives the tensor bytes of its own, to be changed.
  std::vector<std::byte>& own(std::string_view name) {
    TensorView& view = tensor(name);
    base_->prepare(view);
    bytes_.assign(view.data.begin(), view.data.end());
    view.data = bytes_;
    return bytes_;
  }

 private:
  std::unique_ptr<formats::ModelFile> base_;
  std::vector<TensorView> tensors_;
  std::vector<std::byte> bytes_;
};

std::unique_ptr<Altered> altered() {
  return std::make_unique<Altered>(formats::open_model(folder()));
}

// Collects the events of several requests and waits for their ends.
class Inbox {
 public:
  std::function<void(const TokenEvent&)> listener(std::size_t request) {
    const std::lock_guard lock(mutex_);
    if (events_.size() <= request) events_.resize(request + 1);
    return [this, request](const TokenEvent& event) {
      const std::lock_guard inner(mutex_);
      events_[request].push_back(event);
      if (event.finish) ++finished_;
      changed_.notify_all();
    };
  }
  void wait_finished(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_ >= count; });
  }
  void wait_events(std::size_t request, std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return events_[request].size() >= count; });
  }
  std::vector<TokenEvent> events(std::size_t request) {
    const std::lock_guard lock(mutex_);
    return events_[request];
  }
  std::vector<TokenId> tokens(std::size_t request) {
    std::vector<TokenId> out;
    for (const TokenEvent& event : events(request)) {
      if (!event.finish) out.push_back(event.token);
    }
    return out;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<TokenEvent>> events_;
  std::size_t finished_ = 0;
};

GenerateRequest request(Inbox& inbox, std::size_t index, std::vector<TokenId> prompt, std::int64_t tokens) {
  return {.prompt = std::move(prompt),
          .max_tokens = tokens,
          .ignore_end = true,
          .on_event = inbox.listener(index)};
}

std::vector<TokenId> prompt_of(std::size_t index) {
  std::vector<TokenId> prompt;
  for (std::size_t i = 0; i < 3 + index * 5; ++i)
    prompt.push_back(static_cast<TokenId>((i * 31 + index * 7) % 96));
  return prompt;
}

TEST(Engine, BatchedSequencesGiveWhatTheyGiveAlone) {
  constexpr std::size_t kRequests = 7;
  Inbox alone;
  Inbox together;
  {
    Engine engine(formats::open_model(folder()), {.max_sequences = 1, .threads = 1});
    for (std::size_t i = 0; i < kRequests; ++i) {
      ASSERT_FALSE(engine.submit(request(alone, i, prompt_of(i), 20)).refusal);
      alone.wait_finished(i + 1);
    }
  }
  Engine engine(formats::open_model(folder()), {.max_sequences = 3, .threads = 2, .prefill_chunk = 5});
  for (std::size_t i = 0; i < kRequests; ++i)
    ASSERT_FALSE(engine.submit(request(together, i, prompt_of(i), 20)).refusal);
  together.wait_finished(kRequests);
  for (std::size_t i = 0; i < kRequests; ++i) EXPECT_EQ(together.tokens(i), alone.tokens(i)) << i;
}

TEST(Engine, CancelEndsARunningAndAWaitingRequest) {
  Engine engine(formats::open_model(folder()), {.max_sequences = 1, .threads = 1});
  Inbox inbox;
  std::promise<void> cancelled;
  auto held = cancelled.get_future().share();
  GenerateRequest holds = request(inbox, 0, {1, 2}, 1000);
  holds.on_event = [&engine, held, tell = inbox.listener(0)](const TokenEvent& event) {
    held.wait();  // the engine's thread stays here until both are cancelled
    tell(event);
  };
  const auto running = engine.submit(std::move(holds));
  const auto waiting = engine.submit(request(inbox, 1, {1, 2}, 1000));
  engine.cancel(waiting.id);
  engine.cancel(running.id);
  engine.cancel(12345);  // unknown: nothing happens
  cancelled.set_value();
  inbox.wait_finished(2);
  EXPECT_EQ(inbox.events(0).back().finish, FinishReason::kCancelled);
  EXPECT_LE(inbox.tokens(0).size(), 1u);
  ASSERT_EQ(inbox.events(1).size(), 1u);
  EXPECT_EQ(inbox.events(1)[0].finish, FinishReason::kCancelled);
}

TEST(Engine, RefusesWhatDoesNotFit) {
  Engine engine(formats::open_model(folder()),
                {.context = 64, .max_sequences = 1, .threads = 1, .max_queue = 1});
  Inbox inbox;
  EXPECT_EQ(engine.submit(request(inbox, 0, std::vector<TokenId>(64, 1), 1)).refusal,
            Engine::Refusal::kPromptTooLong);
  std::size_t accepted = 0;
  bool refused = false;
  for (std::size_t i = 0; i < 200 && !refused; ++i) {
    const auto submitted = engine.submit(request(inbox, i, std::vector<TokenId>(60, 1), 4));
    refused = submitted.refusal == Engine::Refusal::kQueueFull;
    accepted += submitted.refusal ? 0 : 1;
  }
  EXPECT_TRUE(refused);
  inbox.wait_finished(accepted);
}

TEST(Engine, TakesAllOfARequestOrNothing) {
  Engine engine(formats::open_model(folder()),
                {.context = 64, .max_sequences = 1, .threads = 1, .max_queue = 2});
  EXPECT_EQ(engine.most_at_once(), 3U);
  Inbox inbox;
  const auto some = [&](std::size_t first, std::size_t count) {
    std::vector<GenerateRequest> requests;
    for (std::size_t i = 0; i < count; ++i) requests.push_back(request(inbox, first + i, {1, 2}, 60));
    return requests;
  };
  EXPECT_EQ(engine.submit_all(some(0, 4)).refusal, Engine::Refusal::kQueueFull);
  const auto taken = engine.submit_all(some(0, 3));
  EXPECT_EQ(taken.ids.size(), 3U) << "an idle engine takes all that it can ever hold";
  const auto refused = engine.submit_all(std::vector<EmbedRequest>(3, EmbedRequest{.tokens = {1}}));
  EXPECT_EQ(refused.refusal, Engine::Refusal::kQueueFull);
  EXPECT_TRUE(refused.ids.empty());
  inbox.wait_finished(3);
}

TEST(Engine, VectorsWaitTheirTurnAndEnd) {
  Engine engine(formats::open_model(folder()), {.max_sequences = 1, .threads = 1});
  const std::vector<TokenId> text = prompt_of(9);
  const std::vector<float> alone = engine.embed(text);
  auto both = engine.submit_all(std::vector<EmbedRequest>(2, EmbedRequest{.tokens = text}));
  for (auto& vector : both.vectors) EXPECT_EQ(vector.get(), alone);

  Inbox inbox;
  ASSERT_FALSE(engine.submit(request(inbox, 0, {1, 2}, 100)).refusal);
  auto cancelled = engine.submit_all(std::vector<EmbedRequest>(1, EmbedRequest{.tokens = text}));
  engine.cancel(cancelled.ids[0]);
  auto late = engine.submit_all(std::vector<EmbedRequest>(
      1, EmbedRequest{.tokens = text, .deadline = std::chrono::steady_clock::now()}));
  const auto reason = [](auto& submitted) {
    try {
      submitted.vectors[0].get();
    } catch (const Unfinished& ended) {
      return ended.reason();
    }
    return FinishReason::kStop;
  };
  EXPECT_EQ(reason(cancelled), FinishReason::kCancelled);
  EXPECT_EQ(reason(late), FinishReason::kDeadline);
  inbox.wait_finished(1);
}

TEST(Engine, TheContextEndsASequence) {
  Engine engine(formats::open_model(folder()), {.context = 70, .max_sequences = 1, .threads = 1});
  Inbox inbox;
  ASSERT_FALSE(engine.submit(request(inbox, 0, std::vector<TokenId>(60, 1), 1000)).refusal);
  inbox.wait_finished(1);
  EXPECT_EQ(inbox.tokens(0).size(), 10u);
  EXPECT_EQ(inbox.events(0).back().finish, FinishReason::kLength);
}

TEST(Engine, NonFiniteWeightsEndTheRequestAsSuch) {
  for (const float poison :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto file = altered();
    const std::uint16_t bits = f32_to_f16(poison);
    std::memcpy(file->own("blk.1.ffn_down.weight").data() + 128, &bits, 2);
    Engine engine(std::move(file), {.threads = 1});
    Inbox inbox;
    ASSERT_FALSE(engine.submit(request(inbox, 0, {1, 2, 3}, 10)).refusal);
    inbox.wait_finished(1);
    ASSERT_EQ(inbox.events(0).size(), 1u);
    EXPECT_EQ(inbox.events(0)[0].finish, FinishReason::kNonFinite);
    EXPECT_TRUE(std::isnan(engine.score(std::vector<TokenId>{1, 2, 3})[0]));
  }
}

TEST(Engine, StatsTellOfRealSteps) {
  Engine engine(formats::open_model(folder()), {.threads = 1});
  EXPECT_EQ(engine.stats().steps, 0u);
  const auto before = std::chrono::steady_clock::now();
  Inbox inbox;
  ASSERT_FALSE(engine.submit(request(inbox, 0, {1, 2, 3}, 5)).refusal);
  inbox.wait_finished(1);
  while (engine.stats().running > 0 || engine.stats().generated_tokens < 5) std::this_thread::yield();
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.prompt_tokens, 3u);
  EXPECT_EQ(stats.generated_tokens, 5u);
  EXPECT_EQ(stats.steps, 5u);
  EXPECT_GT(stats.last_step, before);
  EXPECT_EQ(stats.kv_usage, 0.0);
}

TEST(Engine, StoppingEndsEverything) {
  Inbox inbox;
  {
    Engine engine(formats::open_model(folder()), {.max_sequences = 1, .threads = 2});
    for (std::size_t i = 0; i < 4; ++i) ASSERT_FALSE(engine.submit(request(inbox, i, {1, 2}, 1000)).refusal);
  }
  inbox.wait_finished(4);
  EXPECT_EQ(inbox.events(3).back().finish, FinishReason::kCancelled);
}

TEST(Engine, ScoresRunBesideGeneration) {
  Engine engine(formats::open_model(folder()), {.max_sequences = 2, .threads = 2, .prefill_chunk = 8});
  const std::vector<TokenId> text = prompt_of(9);
  const std::vector<float> alone = engine.score(text);
  Inbox inbox;
  ASSERT_FALSE(engine.submit(request(inbox, 0, {1, 2}, 100)).refusal);
  const std::vector<float> beside = engine.score(text);
  inbox.wait_finished(1);
  ASSERT_EQ(beside.size(), alone.size());
  for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(beside[i], alone[i], 1e-4);
  EXPECT_TRUE(engine.score(std::vector<TokenId>{1}).empty());
}

TEST(Engine, BadInputIsNamed) {
  EXPECT_THROW(Engine(formats::open_model(folder()), {.context = 129}), InputError);
  EXPECT_THROW(Engine(formats::open_model(folder()), {.max_sequences = 0}), InputError);
  auto missing = altered();
  missing->drop("blk.1.attn_k.weight");
  EXPECT_THROW(Engine(std::move(missing), {}), InputError);
  auto misshapen = altered();
  misshapen->tensor("blk.0.ffn_up.weight").shape = {64, 96};
  EXPECT_THROW(Engine(std::move(misshapen), {}), InputError);
  auto wrong_type = altered();
  wrong_type->tensor("blk.0.ffn_up.weight").type = DType::kI32;
  EXPECT_THROW(Engine(std::move(wrong_type), {}), InputError);
  Engine engine(formats::open_model(folder()), {.threads = 1});
  EXPECT_THROW(engine.submit({.prompt = {1, 96}}), InputError);
  EXPECT_THROW(engine.submit({.prompt = {-1}}), InputError);
  EXPECT_THROW(engine.submit({}), InputError);
  EXPECT_THROW(engine.score(std::vector<TokenId>(129, 1)), InputError);
}

// Allows a fixed list of tokens one after another, then the end.
class Script final : public TokenConstraint {
 public:
  explicit Script(std::vector<TokenId> tokens) : tokens_(std::move(tokens)) {}
  void fill_mask(std::span<std::uint32_t> mask) override {
    const TokenId next = complete() ? 0 : tokens_[at_];
    mask[static_cast<std::size_t>(next) / 32] |= 1u << (next % 32);
  }
  bool accept(tokenizer::TokenId token) override { return !complete() && token == tokens_[at_++]; }
  bool complete() const override { return at_ == tokens_.size(); }
  std::unique_ptr<TokenConstraint> clone() const override { return std::make_unique<Script>(*this); }

 private:
  std::vector<TokenId> tokens_;
  std::size_t at_ = 0;
};

TEST(Engine, ConstraintsDecideWhatIsSaid) {
  Engine engine(formats::open_model(folder()), {.threads = 1});
  Inbox inbox;
  const std::vector<TokenId> wanted = {90, 4, 33, 64};
  GenerateRequest constrained = request(inbox, 0, {1, 2, 3}, 50);
  constrained.ignore_end = false;
  constrained.constraint = std::make_unique<Script>(wanted);
  constrained.top_logprobs = 3;
  ASSERT_FALSE(engine.submit(std::move(constrained)).refusal);
  inbox.wait_finished(1);
  EXPECT_EQ(inbox.tokens(0), wanted);
  EXPECT_EQ(inbox.events(0).back().finish, FinishReason::kStop);
  const TokenEvent first = inbox.events(0).front();
  ASSERT_EQ(first.top_logprobs.size(), 3u);
  EXPECT_GT(first.top_logprobs[0].second, first.logprob);  // unmasked: the forced token is not the likeliest
}

}  // namespace
}  // namespace stepdown::runtime
