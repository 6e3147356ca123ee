#include "engine/server/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/server/api_error.h"

namespace stepdown::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Request chat(const std::string& rest) {
  return parse_request(R"({"model": "m", "messages": [{"role": "user", "content": "hi"}])" + rest + "}", true,
                       99);
}

TEST(Request, TakesDefaultsFromOpenAi) {
  const Request request = chat("");
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.sampling.temperature, 1.0f);
  EXPECT_EQ(request.sampling.top_p, 1.0f);
  EXPECT_EQ(request.sampling.seed, 99U);
  EXPECT_EQ(request.max_tokens, std::nullopt);
  EXPECT_EQ(request.n, 1);
  EXPECT_FALSE(request.stream);
  EXPECT_EQ(request.language.schema, nullptr);
  EXPECT_EQ(request.language.grammar, nullptr);
  EXPECT_EQ(parse_request(R"({"model": "m", "prompt": "x"})", false, 0).max_tokens, 16);
}

TEST(Request, ReadsEverythingItKnows) {
  const Request request = chat(
      R"(, "max_completion_tokens": 7, "max_tokens": 9, "temperature": 0, "top_p": 0.5, "top_k": 40, "min_p": 0.1,
    "seed": -1, "presence_penalty": 1, "frequency_penalty": -1, "logit_bias": {"5": -100, "6": 1.5}, "stop": ["a", "b"], "n": 2,
    "logprobs": true, "top_logprobs": 3, "stream": true, "stream_options": {"include_usage": true}, "user": "ann", "tools": [],
    "response_format": {"type": "json_object"})");
  EXPECT_EQ(request.max_tokens, 7);
  EXPECT_EQ(request.standing.user, "ann");
  EXPECT_EQ(request.sampling.temperature, 0.0f);
  EXPECT_EQ(request.sampling.top_k, 40);
  EXPECT_EQ(request.sampling.seed, ~0ULL);
  EXPECT_EQ(request.sampling.logit_bias.at(6), 1.5f);
  EXPECT_THAT(request.stop, ElementsAre("a", "b"));
  EXPECT_EQ(request.n, 2);
  EXPECT_EQ(request.top_logprobs, 3);
  EXPECT_TRUE(request.stream && request.include_usage && request.logprobs);
  EXPECT_NE(request.language.schema, nullptr);
}

TEST(Request, NullCountsAsAbsent) {
  const Request request =
      chat(R"(, "max_tokens": null, "stop": null, "seed": null, "response_format": null, "tools": null)");
  EXPECT_EQ(request.max_tokens, std::nullopt);
  EXPECT_TRUE(request.stop.empty());
}

TEST(Request, JoinsTextPartsAndKnowsDevelopers) {
  const Request request = parse_request(
      R"({"model": "m", "messages": [{"role": "developer", "content": "d"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
          {"role": "assistant", "content": null}]})",
      true, 0);
  EXPECT_EQ(request.messages[0]["role"], "system");
  EXPECT_EQ(request.messages[1]["content"], "ab");
  EXPECT_EQ(request.messages[2]["content"], "");
}

TEST(Request, TakesPromptsInFourShapes) {
  const auto prompts = [](const char* prompt) {
    return parse_request(R"({"model": "m", "prompt": )" + std::string(prompt) + "}", false, 0).prompts;
  };
  EXPECT_THAT(prompts(R"("a")"), ElementsAre(Prompt("a")));
  EXPECT_THAT(prompts(R"(["a", "b"])"), ElementsAre(Prompt("a"), Prompt("b")));
  EXPECT_THAT(prompts("[1, 2]"), ElementsAre(Prompt(std::vector<runtime::TokenId>{1, 2})));
  EXPECT_THAT(prompts("[[1], [2]]"), ElementsAre(Prompt(std::vector<runtime::TokenId>{1}),
                                                 Prompt(std::vector<runtime::TokenId>{2})));
}

struct Refused {
  std::string body;
  bool chat;
  const char* param;
  const char* says;
};

TEST(Request, RefusesAndNamesTheParameter) {
  const auto with = [](const char* rest) {
    return R"({"model": "m", "messages": [{"role": "user", "content": "hi"}], )" + std::string(rest) + "}";
  };
  const Refused cases[] = {
      {"", true, "", "no JSON: parse error"},
      {"[]", true, "", "must be a JSON object"},
      {"{\"model\": \"\xff\"}", true, "", "no JSON"},
      {std::string(100'000, '['), true, "", "nested too deeply"},
      {R"({"messages": []})", true, "model", "must name a model"},
      {R"({"model": "m"})", true, "messages", "is missing"},
      {R"({"model": "m", "messages": []})", true, "messages", "not empty"},
      {R"({"model": "m", "messages": [{"role": "king", "content": ""}]})", true, "messages[0].role",
       "must be system"},
      {R"({"model": "m", "messages": [{"role": "user"}]})", true, "messages[0].content", "is missing"},
      {R"({"model": "m", "messages": [{"role": "tool", "content": null}]})", true, "messages[0].content",
       "is missing"},
      {R"({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]})", true,
       "messages[0].content", "text parts only"},
      {R"({"model": "m"})", false, "prompt", "is missing"},
      {R"({"model": "m", "prompt": [1, "a"]})", false, "prompt", "token ids"},
      {R"({"model": "m", "prompt": "a", "echo": true})", false, "echo", "not supported"},
      {with(R"("temperature": "hot")"), true, "temperature", "from 0.0 to 2.0"},
      {with(R"("temperature": -0.1)"), true, "temperature", "from 0.0 to 2.0"},
      {with(R"("max_tokens": 0)"), true, "max_tokens", "integer from 1"},
      {with(R"("max_tokens": 1.5)"), true, "max_tokens", "integer from 1"},
      {with(R"("seed": 18446744073709551615)"), true, "seed", "integer"},
      {with(R"("n": 17)"), true, "n", "from 1 to 16"},
      {with(R"("stop": [""])"), true, "stop", "none empty"},
      {with(R"("stream": "yes")"), true, "stream", "true or false"},
      {with(R"("stream_options": {})"), true, "stream_options", "needs 'stream'"},
      {with(R"("top_logprobs": 2)"), true, "top_logprobs", "needs 'logprobs'"},
      {with(R"("logit_bias": {"x": 1})"), true, "logit_bias", "token ids"},
      {with(R"("logit_bias": {"1": 101})"), true, "logit_bias", "-100 to 100"},
      {with(R"("tools": [{"type": "function"}])"), true, "tools[0]", "must be"},
      {with(R"("functions": [{"name": "f"}])"), true, "functions", "not supported"},
      {with(R"("guided_regex": "(")"), true, "guided_regex", "pattern is not supported"},
      {with(R"("structured_outputs": {"grammar": "root ::= x"})"), true, "structured_outputs.grammar",
       "'x' is not defined"},
      {with(R"("grammar": "root ::= \"a\"", "grammar_lazy": true)"), true, "grammar_lazy", "not supported"},
      {with(R"("guided_choice": [])"), true, "guided_choice", "list of 1 to"},
      {with((R"("guided_choice": [")" + std::string(100'000, 'x') + "\"]").c_str()), true, "guided_choice",
       "too large"},
      {with(R"("guided_choice": ["a"], "guided_regex": "b")"), true, "guided_choice", "another language"},
      {with(
           R"("tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required", "guided_regex": "b")"),
       true, "tool_choice", "document"},
      {with(
           R"("tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}])"),
       true, "tools[1].function.name", "names must differ"},
      {with(R"("tools": [{"type": "function", "function": {"name": "f>g"}}])"), true,
       "tools[0].function.name", "letters"},
      {with(R"("tools": [{"type": "function", "function": {"name": "f", "strict": 1}}])"), true,
       "tools[0].function.strict", "true or false"},
      {with(
           R"("tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "maybe", "tools": []}})"),
       true, "tool_choice.allowed_tools.mode", "auto or required"},
      {with(
           R"("tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]}})"),
       true, "tool_choice.allowed_tools.tools[0]", "not in 'tools'"},
      {with(
           R"("tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": "nonsense", "function": {"name": "f"}})"),
       true, "tool_choice.type", "function or allowed_tools"},
      {with(R"("tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": 7})"),
       true, "tool_choice.type", "function or allowed_tools"},
      {with(
           R"("tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "nonsense", "function": {"name": "f"}}]}})"),
       true, "tool_choice.allowed_tools.tools[0]", "must be"},
      {with(R"("tools": [{"type": "function", "function": {"name": "f", "strict": true}}])"), true,
       "tools[0].function.parameters", "of an object"},
      {with(
           R"("tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "string"}}}])"),
       true, "tools[0].function.parameters", "of an object"},
      {with(R"("deadline_ms": 0)"), true, "deadline_ms", "integer from 1"},
      {with(R"("response_format": {"type": "yaml"})"), true, "response_format.type",
       "text, json_object or json_schema"},
      {with(R"("response_format": {"type": "json_schema"})"), true, "response_format.json_schema.schema",
       "is missing"},
      {with(
           R"("response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "integer", "contain": {}}}})"),
       true, "response_format.json_schema.schema", "'contain' is not supported"},
      {with(R"("continue_final_message": true)"), true, "continue_final_message",
       "last message of the assistant"},
  };
  for (const Refused& refused : cases) {
    try {
      parse_request(refused.body, refused.chat, 0);
      ADD_FAILURE() << refused.body.substr(0, 200);
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status(), 400);
      const auto body = error.body()["error"];
      EXPECT_THAT(body["message"].get<std::string>(), HasSubstr(refused.says));
      EXPECT_EQ(body["param"].is_null() ? "" : body["param"].get<std::string>(), refused.param)
          << refused.body.substr(0, 200);
      EXPECT_EQ(body["type"], "invalid_request_error");
    }
  }
}

TEST(Request, BiasIsForTokensOfTheVocabulary) {
  const Request request = chat(R"(, "logit_bias": {"5": -100, "7": 1})");
  check_bias(request.sampling, 8);
  check_bias(chat("").sampling, 8);
  try {
    check_bias(request.sampling, 7);
    ADD_FAILURE() << "token 7 of 7";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    EXPECT_EQ(error.body()["error"]["param"], "logit_bias");
    EXPECT_THAT(error.body()["error"]["message"].get<std::string>(), HasSubstr("token 7"));
  }
}

}  // namespace
}  // namespace stepdown::server
