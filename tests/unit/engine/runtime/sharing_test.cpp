#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "engine/runtime/engine.h"

// Whatever the scheduler does to go faster or to fit into memory: the tokens are those of a sequence that
// runs alone, from its beginning to its end, one token a step. Near ties too, since logits are the same bits.
namespace stepdown::runtime {
namespace {

using Answer = std::vector<TokenId>;

std::unique_ptr<formats::ModelFile> model() {
  return formats::open_model(std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime/tied_gqa");
}

struct Ask {
  std::vector<TokenId> prompt;
  std::int64_t max_tokens = 12;
  float temperature = 0.0f;
  std::uint64_t seed = 0;
};

/// Runs requests together and waits for all. Requests are handed over with the mutex held, so that no token
/// is told, and so no second step begun, before all of them wait.
class Client {
 public:
  explicit Client(const EngineOptions& options) : engine_(model(), options) {}

  std::vector<Answer> run(const std::vector<Ask>& asks) {
    std::unique_lock lock(mutex_);
    answers_.assign(asks.size(), {});
    open_ = asks.size();
    for (std::size_t i = 0; i < asks.size(); ++i) submit(asks[i], i);
    changed_.wait(lock, [this] { return open_ == 0; });
    return answers_;
  }
  EngineStats stats() const {  // published after the step that told the end
    while (engine_.stats().generated_tokens < told_ || engine_.stats().running > 0) std::this_thread::yield();
    return engine_.stats();
  }
  std::int64_t prefix_tokens() const { return prefix_tokens_; }

 private:
  void submit(const Ask& ask, std::size_t index) {
    GenerateRequest request{.prompt = ask.prompt, .max_tokens = ask.max_tokens};
    request.ignore_end = true;
    request.sampling = {.temperature = ask.temperature, .seed = ask.seed};
    request.on_event = [this, index](const TokenEvent& event) {
      const std::lock_guard lock(mutex_);
      if (event.token >= 0) {
        answers_[index].push_back(event.token);
        ++told_;
      }
      if (!event.finish) return;
      prefix_tokens_ = event.timing.prefix_tokens;
      --open_;
      changed_.notify_all();
    };
    ASSERT_FALSE(engine_.submit(std::move(request)).refusal);
  }

  Engine engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Answer> answers_;
  std::size_t open_ = 0;
  std::uint64_t told_ = 0;  ///< tokens
  std::int64_t prefix_tokens_ = 0;
};

std::vector<TokenId> text(std::size_t length, TokenId tail) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < length; ++i)
    tokens.push_back(static_cast<TokenId>(1 + (i * i * 7 + i * 3) % 90));
  tokens.push_back(tail);
  return tokens;
}

constexpr EngineOptions kPlain = {.max_sequences = 1, .threads = 1, .share_prefixes = false};

std::vector<Answer> one_by_one(const std::vector<Ask>& asks) {
  std::vector<Answer> answers;
  for (const Ask& ask : asks) answers.push_back(Client(kPlain).run({ask})[0]);
  return answers;
}

std::vector<Ask> alike() {
  std::vector<Ask> asks;
  for (TokenId tail = 1; tail <= 4; ++tail) asks.push_back({text(69, tail)});
  asks.push_back({text(69, 9), 12, 0.9f, 7});
  asks.push_back({text(10, 9), 12, 0.9f, 8});
  return asks;
}

TEST(Sharing, APrefixIsComputedOnceAndChangesNothing) {
  const std::vector<Ask> asks = alike();
  const std::vector<Answer> alone = one_by_one(asks);
  Client client({.max_sequences = 2, .threads = 2});
  for (std::size_t i = 0; i < asks.size(); ++i) {
    EXPECT_EQ(client.run({asks[i]})[0], alone[i]) << i;
    EXPECT_EQ(client.prefix_tokens(), i == 0 || i == 5 ? 0 : 64) << i;
  }
  EXPECT_EQ(client.stats().prefix_hits, 4U * 64U);
}

TEST(Sharing, APrefixOfPromptsThatComeTogetherIsComputedOnceToo) {
  const std::vector<Ask> asks = alike();
  const std::vector<Answer> alone = one_by_one(asks);
  for (const std::int64_t chunk : {5, 256}) {
    Client client({.max_sequences = 6, .threads = 2, .prefill_chunk = chunk});
    EXPECT_EQ(client.run(asks), alone);
    const EngineStats stats = client.stats();
    EXPECT_EQ(stats.prefix_hits, 4U * 64U) << "chunks of " << chunk;
    EXPECT_EQ(stats.prompt_tokens, 70U + 4U * 6U + 11U) << "chunks of " << chunk;
  }
}

TEST(Sharing, BatchesThreadsChunksAndDraftsChangeNothing) {
  const std::vector<Ask> asks = alike();
  const std::vector<Answer> alone = one_by_one(asks);
  for (const int threads : {1, 3}) {
    for (const std::int64_t chunk : {3, 256}) {
      for (const std::int64_t drafts : {0, 4}) {
        Client client(
            {.max_sequences = 3, .threads = threads, .prefill_chunk = chunk, .draft_tokens = drafts});
        EXPECT_EQ(client.run(asks), alone) << threads << " threads, chunks of " << chunk << ", " << drafts;
        EXPECT_EQ(client.run(asks), alone) << "again";
      }
    }
  }
}

TEST(Sharing, DraftsSaveStepsOnTextThatRepeats) {
  Ask ask{{1, 2, 3, 4, 5, 6, 7, 8}, 100};
  Client plain(kPlain);
  EngineOptions options = kPlain;
  options.draft_tokens = 4;
  Client drafting(options);
  const Answer expected = plain.run({ask})[0];
  ask.prompt.insert(ask.prompt.end(), expected.begin(), expected.begin() + 20);
  ask.max_tokens = 90;
  EXPECT_EQ(drafting.run({ask})[0], plain.run({ask})[0]);
}

TEST(Sharing, StepsBackWithoutLosingWork) {
  std::vector<Ask> asks;
  for (TokenId tail = 1; tail <= 4; ++tail) asks.push_back({text(59, tail), 60, tail == 4 ? 0.8f : 0.0f, 3});
  const std::vector<Answer> alone = one_by_one(asks);
  // Three pages for four sequences that come to two each; after a short answer the next are thought short
  // too.
  Client client({.context = 128, .max_sequences = 4, .threads = 2, .kv_tokens = 192});
  client.run({{text(5, 1), 1}});
  EXPECT_EQ(client.run(asks), alone);
  const EngineStats stats = client.stats();
  EXPECT_GT(stats.preemptions, 0U);
  EXPECT_EQ(stats.kv_usage, 0.0);
}

TEST(Sharing, AClientThatAsksForMuchHoldsUpItselfAlone) {
  Engine engine(model(), {.max_sequences = 1, .threads = 1});
  std::mutex mutex;
  std::condition_variable changed;
  std::string ends;
  const auto submit = [&](char name, const char* client, std::int64_t tokens) {
    GenerateRequest request{.prompt = text(20, 1), .max_tokens = tokens};
    request.ignore_end = true;
    request.client = client;
    request.on_event = [&, name](const TokenEvent& event) {
      const std::lock_guard lock(mutex);
      if (event.finish) ends += name;
      changed.notify_all();
    };
    ASSERT_FALSE(engine.submit(std::move(request)).refusal);
  };
  std::unique_lock lock(mutex);  // 'a' tells no token before all wait
  submit('a', "much", 100);
  for (const char name : {'b', 'c', 'd', 'e'}) submit(name, "much", 2);
  submit('x', "little", 2);
  submit('y', "little", 2);
  changed.wait(lock, [&] { return ends.size() == 7; });
  EXPECT_EQ(ends, "axbycde");
}
TEST(Sharing, APriorityGoesFirstAndADeadlineEnds) {
  Engine engine(model(), {.max_sequences = 1, .threads = 1});
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<char, FinishReason>> ends;
  const auto submit = [&](char name, std::int32_t priority, std::int64_t tokens,
                          std::chrono::milliseconds limit) {
    GenerateRequest request{.prompt = text(20, 1), .max_tokens = tokens};
    request.ignore_end = true;
    request.priority = priority;
    if (limit.count() != 0) request.deadline = std::chrono::steady_clock::now() + limit;
    request.on_event = [&, name](const TokenEvent& event) {
      const std::lock_guard lock(mutex);
      if (event.finish) ends.emplace_back(name, *event.finish);
      changed.notify_all();
    };
    ASSERT_FALSE(engine.submit(std::move(request)).refusal);
  };
  using std::chrono::milliseconds;
  std::unique_lock lock(mutex);  // 'a' tells no token before all wait
  submit('a', 0, 100, milliseconds(0));
  submit('b', 0, 2, milliseconds(0));
  submit('c', -1, 2, milliseconds(0));
  submit('d', 5, 2, milliseconds(-1));
  changed.wait(lock, [&] { return ends.size() == 4; });
  const auto place = [&](char name) {
    return std::ranges::find(ends, name, &std::pair<char, FinishReason>::first) - ends.begin();
  };
  EXPECT_LT(place('c'), place('b'));
  EXPECT_EQ(ends[static_cast<std::size_t>(place('d'))].second, FinishReason::kDeadline);
}

}  // namespace
}  // namespace stepdown::runtime
