#include "engine/quant/calibration/redact_prompt.h"

#include <gtest/gtest.h>

namespace stepdown::quant {
namespace {

using nlohmann::ordered_json;

const std::vector<std::string> kKinds = {"email", "name"};

CorpusPrompt redacted(const char* messages, std::map<std::string, int>& counts) {
  CorpusPrompt prompt{.messages = ordered_json::parse(messages)};
  redact(Redactor(kKinds, {"Ada", "assistant"}), prompt, counts);
  return prompt;
}

TEST(RedactPrompt, EveryValueOfAMessageButRolesTypesAndIds) {
  std::map<std::string, int> counts;
  const CorpusPrompt prompt = redacted(
      R"([{"role": "assistant", "name": "Ada", "reasoning_content": "Ada asks", "refusal": null, "content": "Ada",
           "tool_calls": [{"id": "Ada", "type": "function", "function": {"name": "find", "arguments": {"Ada": {"mails": [1, "a@b.io"]}}}}]},
          {"role": "tool", "tool_call_id": "Ada", "content": "none"}])",
      counts);
  EXPECT_EQ(
      prompt.messages,
      ordered_json::parse(
          R"([{"role": "assistant", "name": "[name]", "reasoning_content": "[name] asks", "refusal": null, "content": "[name]",
               "tool_calls": [{"id": "Ada", "type": "function", "function": {"name": "find", "arguments": {"[name]": {"mails": [1, "[email]"]}}}}]},
              {"role": "tool", "tool_call_id": "Ada", "content": "none"}])"))
      << prompt.messages;
  EXPECT_EQ(counts, (std::map<std::string, int>{{"email", 1}, {"name", 4}}));
}

TEST(RedactPrompt, ToolsThatNameSomebody) {
  CorpusPrompt prompt;
  prompt.tools = ordered_json::parse(
      R"([{"type": "function", "function": {"name": "mail", "description": "from Ada", "parameters":
          {"type": "object", "properties": {"Ada": {"enum": ["a@b.io", "all"]}}}}}])");
  std::map<std::string, int> counts;
  redact(Redactor(kKinds, {"Ada"}), prompt, counts);
  EXPECT_EQ(
      prompt.tools,
      ordered_json::parse(
          R"([{"type": "function", "function": {"name": "mail", "description": "from [name]", "parameters":
              {"type": "object", "properties": {"[name]": {"enum": ["[email]", "all"]}}}}}])"))
      << prompt.tools;
  EXPECT_EQ(counts, (std::map<std::string, int>{{"email", 1}, {"name", 2}}));
}

TEST(RedactPrompt, KeysThatBecomeAlikeKeepTheirValuesAndOrder) {
  std::map<std::string, int> counts;
  const CorpusPrompt prompt = redacted(
      R"([{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments":
          {"z": 0, "a@b.io": 1, "c@d.io": 2, "[email] 3": 3, "e@f.io": 4, "b": 5}}}]}])",
      counts);
  EXPECT_EQ(prompt.messages[0]["tool_calls"][0]["function"]["arguments"].dump(),
            R"({"z":0,"[email]":1,"[email] 2":2,"[email] 3":3,"[email] 4":4,"b":5})");
}

}  // namespace
}  // namespace stepdown::quant
