#include "operator/gateway/proxy/requests.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

using json = nlohmann::ordered_json;

TEST(RequestsTest, AChatGoesOnAsTheAssistantsUnfinishedMessage) {
  const json request = {{"messages", {{{"role", "user"}, {"content", "q"}}}}, {"max_tokens", 10U}};
  const auto next = continuation(request, true, "so far", 4);
  ASSERT_TRUE(next);
  EXPECT_EQ((*next)["messages"].back(), json({{"role", "assistant"}, {"content", "so far"}}));
  EXPECT_EQ((*next)["continue_final_message"], true);
  EXPECT_EQ((*next)["max_tokens"], 6);
}

TEST(RequestsTest, ACompletionGoesOnBehindItsText) {
  const json request = {{"prompt", "q "}, {"response_format", {{"type", "json_object"}}}, {"max_tokens", 2U}};
  const auto next = continuation(request, false, "{", 4);
  ASSERT_TRUE(next);
  EXPECT_EQ((*next)["prompt"], "q {");
  EXPECT_FALSE(next->contains("response_format")) << "the gateway judges the whole itself";
  EXPECT_EQ((*next)["max_tokens"], 1);
}

TEST(RequestsTest, WhatAnEngineWouldBeginAnewIsNotContinued) {
  EXPECT_FALSE(continuation({{"prompt", json::array({1, 2})}}, false, "x", 1));
  EXPECT_FALSE(continuation({{"messages", "none"}}, true, "x", 1));
  for (const char* field :
       {"structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "grammar"}) {
    EXPECT_FALSE(continuation({{"prompt", "q"}, {field, "a"}}, false, "x", 1)) << field;
    EXPECT_TRUE(continuation({{"prompt", "q"}, {field, nullptr}}, false, "x", 1)) << field;
    EXPECT_TRUE(continuation({{"messages", json::array()}, {field, "a"}}, true, "x", 1)) << field;
  }
}

TEST(RequestsTest, TheGreedyCopyHasNoChanceInIt) {
  const json request = {{"temperature", 1},
                        {"stream", true},
                        {"stream_options", {{"include_usage", true}}},
                        {"n", 3},
                        {"seed", 4}};
  EXPECT_EQ(greedy_copy(request), json({{"temperature", 0}, {"stream", false}, {"seed", 4}}));
}

}  // namespace
}  // namespace stepdown::gateway
