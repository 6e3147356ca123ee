#include "engine/eval/evaluation_memory.h"

#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace stepdown::eval {
namespace {

using nlohmann::json;

constexpr std::int64_t kPage = 64;

class EvaluationMemory : public testing::Test {
 protected:
  std::int64_t cached(const std::vector<Sample>& samples, const CachedTokens& options) const {
    return cached_tokens(encoder_, samples, options);
  }
  static Sample sample(const std::string& text) {
    Sample sample;
    sample.messages = json::array({{{"role", "user"}, {"content", text}}});
    return sample;
  }

  std::unique_ptr<formats::ModelFile> model_ =
      formats::open_model(std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime/tied_gqa");
  tokenizer::ChatEncoder encoder_ = [this] {
    formats::TokenizerData data = model_->tokenizer();  // which knows single characters
    data.chat_template = "{{ messages[0].content }}";
    return tokenizer::ChatEncoder(std::make_shared<const tokenizer::Tokenizer>(data), data);
  }();
};

TEST_F(EvaluationMemory, PagesThatPromptsShareCountOnce) {
  const std::string text(3 * kPage + 5, 'a');
  const CachedTokens options{.context = 100 * kPage, .concurrency = 1, .max_tokens = 0};
  const std::int64_t once = cached({sample(text)}, options);
  EXPECT_EQ(once, (3 + 1 + 4) * kPage) << "full pages stay, one is open, and what is scored lies beside them";
  EXPECT_EQ(cached({sample(text), sample(text)}, options), once);
  EXPECT_EQ(cached({sample(text), sample("b" + text)}, options), once + 3 * kPage);
}

TEST_F(EvaluationMemory, AnswersAreAsLongAsTheirReferencesOrAsAllowed) {
  const CachedTokens options{.context = 100 * kPage, .concurrency = 1, .max_tokens = 4 * kPage};
  const std::int64_t none = cached({sample("a")}, {.context = 100 * kPage, .concurrency = 1});
  EXPECT_EQ(cached({sample("a")}, options), none + 4 * kPage);
  CachedTokens twice = options;
  twice.constrained = true;
  EXPECT_EQ(cached({sample("a")}, twice), none + 8 * kPage) << "freely, and as a schema allows";
  Sample known = sample("a");
  known.expected = "b";
  EXPECT_EQ(cached({known}, options), none);
}

TEST_F(EvaluationMemory, TheCacheHoldsNoMoreThanItsSequences) {
  const runtime::EngineOptions options{.context = 2 * kPage, .max_sequences = 2};
  const auto full = answering_memory(*model_, options, 4 * kPage);
  EXPECT_EQ(answering_memory(*model_, options, 1000 * kPage), full);
  EXPECT_LT(answering_memory(*model_, options, 2 * kPage), full);
}

}  // namespace
}  // namespace stepdown::eval
