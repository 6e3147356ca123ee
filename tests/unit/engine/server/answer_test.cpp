#include "engine/server/answer.h"

#include <limits>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

const AnswerHead kHead = {"id-1", 17, "m", "sha256:ab", true, 5};

Choice done(const Request& request, const char* text) {
  Choice choice(request);
  choice.full = text;
  choice.tokens = 2;
  choice.finish_reason = "stop";
  choice.logprobs = {{"a", -0.5f, {{"a", -0.5f}, {"b", -std::numeric_limits<float>::infinity()}}, 0}};
  return choice;
}

Confidence confidence() {
  Confidence sum;
  sum.add({.token = 1, .logprob = -1.0f, .entropy = 2.0f});
  sum.add({.token = 2, .logprob = -3.0f, .entropy = 4.0f});
  return sum;
}

TEST(Answer, HasOpenAisShape) {
  Request request;
  request.chat = true;
  request.logprobs = true;
  std::vector<Choice> choices;
  choices.push_back(done(request, "hello"));
  const ordered_json expected =
      ordered_json::parse(R"({"id": "id-1", "object": "chat.completion", "created": 17, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello", "refusal": null},
      "logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": [97],
        "top_logprobs": [{"token": "a", "logprob": -0.5, "bytes": [97]}, {"token": "b", "logprob": -9999.0, "bytes": [98]}]}]},
      "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    "stepdown": {"revision": "sha256:ab", "mean_logprob": -2.0, "min_logprob": -3.0, "mean_entropy": 3.0}})");
  EXPECT_EQ(answer_json(kHead, request, choices, confidence()), expected);
}

TEST(Answer, StreamsRoleThenTextThenReason) {
  Request request;
  request.chat = true;
  Choice choice(request);
  EXPECT_EQ(chunk_json(kHead, request, 0, choice, "a", true)["choices"][0]["delta"],
            ordered_json::parse(R"({"role": "assistant", "content": "a"})"));
  EXPECT_EQ(chunk_json(kHead, request, 0, choice, "b", false)["choices"][0]["delta"],
            ordered_json::parse(R"({"content": "b"})"));
  choice.finish_reason = "length";
  const ordered_json last = chunk_json(kHead, request, 0, choice, "", false);
  EXPECT_EQ(last["choices"][0],
            ordered_json::parse(R"({"index": 0, "delta": {}, "logprobs": null, "finish_reason": "length"})"));
  EXPECT_EQ(last["object"], "chat.completion.chunk");
}

TEST(Answer, SendsEachTokensLogprobsOnce) {
  Request request;
  request.logprobs = true;
  Choice choice = done(request, "a");
  AnswerHead head = kHead;
  head.chat = false;
  EXPECT_EQ(chunk_json(head, request, 0, choice, "a", true)["choices"][0]["logprobs"]["tokens"],
            ordered_json::array({"a"}));
  EXPECT_TRUE(chunk_json(head, request, 0, choice, "", false)["choices"][0]["logprobs"].is_null());
}

TEST(Answer, WithoutTokensThereIsNoConfidence) {
  EXPECT_TRUE(confidence_json(kHead, {})["mean_logprob"].is_null());
  EXPECT_EQ(sse({{"a", "x\ny"}}), "data: {\"a\":\"x\\ny\"}\n\n");
}

}  // namespace
}  // namespace stepdown::server
