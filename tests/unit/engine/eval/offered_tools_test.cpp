#include <filesystem>
#include <memory>

#include <gtest/gtest.h>

#include "engine/eval/evaluation.h"
#include "engine/eval/evaluation_memory.h"
#include "engine/runtime/engine.h"

namespace stepdown::eval {
namespace {

using nlohmann::ordered_json;

/// All that asks a model about a sample shows it the tools that the sample offers.
class OfferedTools : public testing::Test {
 protected:
  OfferedTools() {
    plain_.messages = ordered_json::array({{{"role", "user"}, {"content", "is a pump dry?"}}});
    offering_ = plain_;
    offering_.tools = ordered_json::parse(
        R"([{"type": "function", "function": {"name": "look_at_pump", "description": "whether it is dry"}}])");
  }

  std::size_t rendered() const { return offering_.tools.dump().size(); }

  std::unique_ptr<formats::ModelFile> model_ =
      formats::open_model(std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime/tied_gqa");
  tokenizer::ChatEncoder encoder_ = [this] {
    formats::TokenizerData data = model_->tokenizer();  // which knows single characters
    data.chat_template = "{% if tools %}{{ tools }}{% endif %}{{ messages[0].content }}";
    return tokenizer::ChatEncoder(std::make_shared<const tokenizer::Tokenizer>(data), data);
  }();
  Sample plain_, offering_;
};

TEST_F(OfferedTools, AreScored) {
  constexpr std::int64_t kContext = 4096;
  EXPECT_GT(tokens_of(encoder_, offering_, kContext).tokens.size(),
            tokens_of(encoder_, plain_, kContext).tokens.size() + rendered() / 2);
  std::size_t longest = 0;
  const Scorer scorer = [&](std::span<const tokenizer::TokenId> tokens) {
    longest = std::max(longest, tokens.size());
    return std::vector<float>(tokens.size() - 1, -1.0f);
  };
  PerplexityMeter ends;
  add_long_context(ends, scorer, encoder_, std::vector<Sample>{plain_}, 40, 1);
  EXPECT_EQ(longest, 0u) << "one prompt fills no context";
  add_long_context(ends, scorer, encoder_, std::vector<Sample>{offering_}, 40, 1);
  EXPECT_EQ(longest, 40u);
}

TEST_F(OfferedTools, AreInTheMemoryThatIsPredicted) {
  const CachedTokens options{.context = 4096, .concurrency = 1, .max_tokens = 0};
  EXPECT_GT(cached_tokens(encoder_, std::vector<Sample>{offering_}, options),
            cached_tokens(encoder_, std::vector<Sample>{plain_}, options));
}

TEST_F(OfferedTools, AreInThePromptThatIsAnswered) {
  runtime::Engine engine(std::move(model_), {.context = 40, .max_sequences = 1, .threads = 1});
  const auto answerer = make_engine_answerer(engine, encoder_);
  EXPECT_EQ(answerer->answer(plain_, {.max_tokens = 1}).error, "");
  EXPECT_EQ(answerer->answer(offering_, {.max_tokens = 1}).error, "the prompt is longer than the context");
}

}  // namespace
}  // namespace stepdown::eval
