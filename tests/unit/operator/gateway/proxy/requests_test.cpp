#include "operator/gateway/proxy/requests.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

Expectation expectation(const nlohmann::ordered_json& request, bool chat) {
  LanguageCache languages;
  return expect(request, chat, languages);
}

using json = nlohmann::ordered_json;

TEST(RequestsTest, AChatGoesOnAsTheAssistantsUnfinishedMessage) {
  const json request = {{"messages", {{{"role", "user"}, {"content", "q"}}}}, {"max_tokens", 10U}};
  const auto next = continuation(request, expectation(request, true), "so far", 4);
  ASSERT_TRUE(next);
  EXPECT_EQ((*next)["messages"].back(), json({{"role", "assistant"}, {"content", "so far"}}));
  EXPECT_EQ((*next)["continue_final_message"], true);
  EXPECT_EQ((*next)["max_tokens"], 6);
}

TEST(RequestsTest, ACompletionGoesOnBehindItsText) {
  const json request = {{"prompt", "q "}, {"response_format", {{"type", "json_object"}}}, {"max_tokens", 2U}};
  const auto next = continuation(request, expectation(request, false), "{", 4);
  ASSERT_TRUE(next);
  EXPECT_EQ((*next)["prompt"], "q {");
  EXPECT_FALSE(next->contains("response_format")) << "the gateway judges the whole itself";
  EXPECT_EQ((*next)["max_tokens"], 1);
}

TEST(RequestsTest, AChatGoesOnWithinTheMessageThatTheClientBegan) {
  const json request = {
      {"continue_final_message", true},
      {"messages", {{{"role", "user"}, {"content", "q"}}, {{"role", "assistant"}, {"content", "so "}}}}};
  const auto next = continuation(request, expectation(request, true), "far", 1);
  ASSERT_TRUE(next);
  ASSERT_EQ((*next)["messages"].size(), 2);
  EXPECT_EQ((*next)["messages"].back(), json({{"role", "assistant"}, {"content", "so far"}}));
}

TEST(RequestsTest, WhatAnEngineWouldBeginAnewIsContinuedOnlyWhereTheGatewayCanJudgeTheWhole) {
  const auto continued = [](const json& request, bool chat) {
    return continuation(request, expectation(request, chat), "x", 1);
  };
  EXPECT_FALSE(continued({{"prompt", json::array({1, 2})}}, false));
  EXPECT_FALSE(continued({{"messages", "none"}}, true));
  EXPECT_TRUE(continued({{"prompt", "q"}, {"response_format", {{"type", "text"}}}}, false));
  const auto judged = continued({{"prompt", "q"}, {"guided_choice", {"xyz"}}}, false);
  ASSERT_TRUE(judged);
  EXPECT_FALSE(judged->contains("guided_choice"));
  for (const char* field :
       {"structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "grammar"}) {
    EXPECT_FALSE(continued({{"prompt", "q"}, {field, "("}}, false)) << field;
    EXPECT_TRUE(continued({{"prompt", "q"}, {field, nullptr}}, false)) << field;
    EXPECT_TRUE(continued({{"messages", json::array()}, {field, "("}}, true)) << field;
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
