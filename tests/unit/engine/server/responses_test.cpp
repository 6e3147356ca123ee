#include "engine/server/responses.h"

#include <gtest/gtest.h>

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

ordered_json chat_of(const char* body) {
  return chat_body_of_response(ordered_json::parse(body));
}

TEST(Responses, TextIsTheUsersMessageBehindTheInstructions) {
  const ordered_json chat =
      chat_of(R"({"model": "m", "instructions": "Be brief.", "input": "Hi", "max_output_tokens": 5})");
  EXPECT_EQ(chat["messages"],
            ordered_json::parse(
                R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])"));
  EXPECT_EQ(chat["max_completion_tokens"], 5);
  EXPECT_EQ(chat["model"], "m");
}

TEST(Responses, CallsJoinTheTurnThatMadeThem) {
  const ordered_json chat = chat_of(R"({"input": [
      {"role": "user", "content": [{"type": "input_text", "text": "Fire!"}]},
      {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Calling."}]},
      {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
      {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
      {"type": "function_call_output", "call_id": "a", "output": "done"}]})");
  const ordered_json& messages = chat["messages"];
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0]["content"][0]["text"], "Fire!");
  ASSERT_EQ(messages[1]["tool_calls"].size(), 2U);
  EXPECT_EQ(messages[1]["tool_calls"][1]["function"]["name"], "g");
  EXPECT_EQ(messages[2]["tool_call_id"], "a");
}

TEST(Responses, FormatsAndToolsAreNestedAsChatsNestThem) {
  const ordered_json chat = chat_of(
      R"({"input": "x", "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "null"}}},
      "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}], "tool_choice": {"type": "function", "name": "f"}})");
  EXPECT_EQ(chat["response_format"]["json_schema"]["schema"]["type"], "null");
  EXPECT_EQ(chat["tools"][0]["function"]["name"], "f");
  EXPECT_EQ(chat["tool_choice"]["function"]["name"], "f");
}

TEST(Responses, AChoiceOfAnotherTypeIsNoFunction) {
  const ordered_json chat = chat_of(R"({"input": "x", "tools": [{"type": "function", "name": "f"}],
                  "tool_choice": {"type": "custom", "name": "f"}})");
  EXPECT_EQ(chat["tool_choice"]["type"], "custom");
}

TEST(Responses, AllowedToolsAreNestedAsChatsHaveThem) {
  const ordered_json chat = chat_body_of_response(ordered_json::parse(
      R"({"input": "x", "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g", "strict": true}],
          "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}})"));
  EXPECT_EQ(chat["tools"][1]["function"]["strict"], true);
  EXPECT_EQ(chat["tool_choice"]["allowed_tools"],
            ordered_json::parse(
                R"({"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]})"));
}

TEST(Responses, WhatCannotBeIsRefusedByName) {
  struct Case {
    const char* body;
    const char* param;
  };
  for (const Case& one :
       {Case{R"({})", "input"}, Case{R"({"input": []})", "input"},
        Case{R"({"input": [{"type": "item_reference", "id": "x"}]})", "input[0].type"},
        Case{R"({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]})", "input[0].call_id"},
        Case{R"({"input": [{"role": "user", "content": [{"type": "input_file"}]}]})", "input[0].content"},
        Case{R"({"input": "x", "tools": [{"type": "mcp"}]})", "tools[0]"},
        Case{R"({"input": "x", "previous_response_id": "resp_1"})", "previous_response_id"}}) {
    try {
      chat_of(one.body);
      ADD_FAILURE() << one.body;
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status(), 400);
      EXPECT_EQ(error.body()["error"]["param"], one.param) << one.body;
    }
  }
}

TEST(Responses, ErrorsNameTheFieldsOfTheirBody) {
  const struct {
    const char* body;
    const char* param;
  } cases[] = {{R"({"model": "m", "input": "a", "max_output_tokens": 0})", "max_output_tokens"},
               {R"({"model": "m", "input": "a", "text": {"format": {"type": "yaml"}}})", "text.format.type"},
               {R"({"model": "m", "input": "a", "text": {"format": {"type": "json_schema", "schema": 3}}})",
                "text.format.schema"},
               {R"({"model": "m", "instructions": 5, "input": "a"})", "input"},
               {R"({"model": "m", "input": "a", "tools": [{"type": "function"}]})", "tools[0].name"}};
  for (const auto& one : cases) {
    const auto chat = chat_body_of_response(nlohmann::ordered_json::parse(one.body));
    try {
      read_request(chat, true, 0);
      ADD_FAILURE() << one.body;
    } catch (const ApiError& error) {
      const ApiError told = error_of_response(error);
      EXPECT_EQ(told.param(), one.param);
      EXPECT_EQ(std::string(told.what()).find("'" + error.param() + "'"), std::string::npos) << told.what();
    }
  }
  EXPECT_THROW(chat_body_of_response({{"model", "m"}, {"input", "a"}, {"text", 5}}), ApiError);
}

}  // namespace
}  // namespace stepdown::server
