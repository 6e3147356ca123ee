#include "engine/runtime/prompt_lookup.h"

#include <gtest/gtest.h>

namespace stepdown::runtime {
namespace {

using Tokens = std::vector<tokenizer::TokenId>;

struct Case {
  Tokens text;
  std::size_t most;
  Tokens guess;
};

TEST(PromptLookup, GuessesWhatFollowedLastTime) {
  const Case cases[] = {
      {{1, 2, 3, 4, 5, 1, 2, 3}, 2, {4, 5}},
      {{1, 2, 3, 4, 5, 1, 2, 3}, 9, {4, 5, 1, 2, 3}},
      {{9, 2, 3, 7, 8, 2, 3}, 1, {7}},                    // two tokens when three never occurred
      {{1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3}, 1, {5}},        // the latest of several
      {{2, 3, 7, 1, 2, 3, 4, 8, 2, 3, 1, 2, 3}, 1, {4}},  // three tokens go before two
      {{5, 5, 5, 5}, 3, {5}},
      {{1, 2, 3, 4}, 4, {}},
      {{1}, 4, {}},
      {{}, 4, {}},
  };
  for (const Case& one : cases) EXPECT_EQ(prompt_lookup(one.text, one.most), one.guess);
}

}  // namespace
}  // namespace stepdown::runtime
