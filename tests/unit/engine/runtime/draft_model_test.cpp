#include "engine/runtime/draft_model.h"

#include <cmath>
#include <filesystem>
#include <future>
#include <map>
#include <memory>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/runtime/engine.h"

namespace stepdown::runtime {
namespace {

namespace fs = std::filesystem;

const fs::path kGoldens = fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens";
const fs::path kModel = kGoldens / "runtime/tied_gqa";
const fs::path kOther = kGoldens / "runtime/untied_mha";  // the same vocabulary, quite other opinions

std::unique_ptr<Engine> engine_of(const fs::path& draft, EngineOptions options = {}) {
  options.threads = 1;
  options.draft_tokens = draft.empty() ? 0 : 4;
  return std::make_unique<Engine>(formats::open_model(kModel), options,
                                  draft.empty() ? nullptr : formats::open_model(draft));
}

using Tokens = std::vector<TokenId>;

std::future<Tokens> ask(Engine& engine, Tokens prompt, std::int64_t count, Sampling sampling,
                        std::unique_ptr<TokenConstraint> constraint = nullptr) {
  struct Record {
    Tokens tokens;
    std::promise<Tokens> done;
  };
  const auto record = std::make_shared<Record>();
  GenerateRequest request{.prompt = std::move(prompt), .max_tokens = count, .sampling = std::move(sampling)};
  request.ignore_end = constraint == nullptr;
  request.constraint = std::move(constraint);
  request.on_event = [record](const TokenEvent& event) {
    if (event.finish) return record->done.set_value(record->tokens);
    record->tokens.push_back(event.token);
  };
  auto result = record->done.get_future();
  EXPECT_FALSE(engine.submit(std::move(request)).refusal);
  return result;
}

Tokens prompt_of(std::int32_t length, std::int32_t seed) {
  Tokens tokens;
  for (std::int32_t i = 0; i < length; ++i) tokens.push_back(1 + (i * 37 + seed * 11) % 95);
  return tokens;
}

class Drafted : public testing::TestWithParam<fs::path> {};

TEST_P(Drafted, TokensAreThoseWithoutDraft) {
  const auto alone = engine_of({}, {.max_sequences = 3});
  const auto drafted = engine_of(GetParam(), {.max_sequences = 3, .prefill_chunk = 16});
  std::vector<std::pair<std::future<Tokens>, std::future<Tokens>>> pairs;
  for (std::int32_t i = 0; i < 8; ++i) {
    Sampling sampling{.temperature = i % 2 == 0 ? 0.0f : 1.0f, .seed = static_cast<std::uint64_t>(i)};
    if (i == 3) sampling.top_p = 0.7f;
    if (i == 5) sampling.frequency_penalty = 1.0f;
    const Tokens prompt = prompt_of(5 + i * 9, i);
    pairs.emplace_back(ask(*alone, prompt, 40, sampling), ask(*drafted, prompt, 40, sampling));
  }
  for (auto& [plain, guessed] : pairs) EXPECT_EQ(plain.get(), guessed.get());
  EXPECT_GT(drafted->stats().drafted_tokens, 0U);
}

INSTANTIATE_TEST_SUITE_P(By, Drafted, testing::Values(kModel, kOther),
                         [](const auto& info) { return info.param.filename().string(); });

TEST(DraftModel, AllGuessesOfTheSameModelHold) {
  const auto engine = engine_of(kModel);
  ask(*engine, prompt_of(20, 1), 60, {.temperature = 1.0f, .seed = 3}).get();
  const EngineStats stats = engine->stats();
  EXPECT_GT(stats.drafted_tokens, 30U);
  EXPECT_GE(stats.held_tokens + 2, stats.drafted_tokens);  // near ties apart
  EXPECT_LT(stats.steps, 30U);
}

TEST(DraftModel, PreemptedSequencesLoseNothing) {
  const auto alone = engine_of({}, {.context = 128, .max_sequences = 4});
  const auto tight = engine_of(kOther, {.context = 128, .max_sequences = 4, .kv_tokens = 160});
  std::vector<std::pair<std::future<Tokens>, std::future<Tokens>>> pairs;
  for (std::int32_t i = 0; i < 6; ++i)
    pairs.emplace_back(ask(*alone, prompt_of(30, i), 60, {}), ask(*tight, prompt_of(30, i), 60, {}));
  for (auto& [plain, guessed] : pairs) EXPECT_EQ(plain.get(), guessed.get());
}

TEST(DraftModel, GuessesFollowTheConstraint) {
  const auto schema = schema::Schema::compile(nlohmann::ordered_json::parse(
      R"({"type": "array", "items": {"enum": ["ab", "cd", 17]}, "minItems": 6, "maxItems": 6})"));
  const auto alone = engine_of({});
  const auto drafted = engine_of(kOther);
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const Sampling sampling{.temperature = 1.0f, .seed = seed};
    const Tokens plain = ask(*alone, {1, 2, 3}, 80, sampling, alone->constraints().make(schema)).get();
    EXPECT_EQ(plain, ask(*drafted, {1, 2, 3}, 80, sampling, drafted->constraints().make(schema)).get());
  }
  EXPECT_GT(drafted->stats().held_tokens, 0U);
}

/// Answers of many seeds with a draft are distributed as answers of as many other seeds without one are: the
/// chi-square statistic of two samples stays where chance leaves it.
TEST(DraftModel, TheDistributionIsTheModelsOwn) {
  constexpr int kSamples = 1500;
  const auto counts = [](Engine& engine, std::uint64_t first_seed) {
    std::vector<std::future<Tokens>> answers;
    std::map<std::pair<int, TokenId>, double>
        count;  // by place in the answer; the first token is never drafted
    for (int i = 0; i < kSamples; ++i) {
      answers.push_back(ask(engine, {5, 17, 40}, 4,
                            {.temperature = 1.0f, .seed = first_seed + static_cast<std::uint64_t>(i)}));
      if (answers.size() < 100) continue;
      for (auto& answer : answers) {
        const Tokens tokens = answer.get();
        for (int place = 1; place < 4; ++place) ++count[{place, tokens[static_cast<std::size_t>(place)]}];
      }
      answers.clear();
    }
    return count;
  };
  const auto alone = engine_of({}, {.max_sequences = 8});
  const auto drafted = engine_of(kOther, {.max_sequences = 8});
  auto plain = counts(*alone, 1);
  auto guessed = counts(*drafted, 1'000'000);
  double statistic = 0.0;
  double degrees = 0.0;
  double rare_plain = 0.0;
  double rare_guessed = 0.0;
  const auto add = [&](double a, double b) {
    if (a + b < 10) return;
    statistic += (a - b) * (a - b) / (a + b);
    ++degrees;
  };
  for (const auto& [key, count] : guessed) plain[key];
  for (const auto& [key, count] : plain) {
    if (count + guessed[key] >= 10) {
      add(count, guessed[key]);
    } else {
      rare_plain += count;
      rare_guessed += guessed[key];
    }
  }
  add(rare_plain, rare_guessed);
  ASSERT_GT(degrees, 50);
  EXPECT_LT(statistic, degrees + 3.5 * std::sqrt(2 * degrees)) << degrees << " degrees of freedom";
  EXPECT_GT(drafted->stats().drafted_tokens, static_cast<std::uint64_t>(kSamples));
}

TEST(DraftModel, OtherVocabulariesAreRefused) {
  try {
    engine_of(kGoldens / "llamacpp/llama.gguf");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("has other tokens"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace stepdown::runtime
