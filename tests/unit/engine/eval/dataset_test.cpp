#include "engine/eval/dataset.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::eval {
namespace {

class DatasetTest : public testing::Test {
 protected:
  std::vector<Sample> read(std::string_view text) {
    write_file_atomically(path_, text);
    return read_dataset(path_);
  }
  std::string error_of(std::string_view text) {
    try {
      read(text);
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) / "dataset_test.jsonl";
};

TEST_F(DatasetTest, KeepsTheKeyOrderOfTheReferenceAnswer) {
  const auto samples =
      read(R"({"id": "a", "messages": [{"role": "user", "content": "hi"}], "expected": {"z": 1, "b": 2}}
{"messages": [{"role": "user", "content": "no"}], "refuse": true}

)");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].expected->dump(), R"({"z":1,"b":2})");
  EXPECT_EQ(samples[1].id, "2");
  EXPECT_EQ(samples[1].refuse, true);
}

// As OpenAI's clients and production logs write them.
TEST_F(DatasetTest, ReadsTextPartsAndTurnsOfCallsAlone) {
  const auto samples = read(
      R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "which "}, {"type": "text", "text": "dock?"}]}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "find", "arguments": "{\"dock\": 4}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "dry"}]})"
      "\n");
  const auto& messages = samples.at(0).messages;
  EXPECT_EQ(messages[0]["content"], "which dock?");
  EXPECT_EQ(messages[1]["content"], "");
  EXPECT_EQ(messages[1]["tool_calls"][0]["function"]["arguments"]["dock"], 4);
  EXPECT_EQ(messages[2]["content"], "dry");
  EXPECT_NE(error_of(R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})")
                .find("'messages[0].content' may hold text parts only"),
            std::string::npos);
}

TEST_F(DatasetTest, NamesTheByteThatIsNoText) {
  EXPECT_NE(error_of("{\"messages\": [{\"role\": \"user\", \"content\": \"na\xefve\"}]}")
                .find(":1: byte 46 of the line is no UTF-8; save the file as UTF-8"),
            std::string::npos);
}

TEST_F(DatasetTest, ReadsTheToolsThatAChatOffers) {
  const std::string chat = R"("messages": [{"role": "user", "content": "dry?"}])",
                    tools = R"(, "tools": [{"type": "function", "function": {"name": "look"}}])";
  const auto samples = read("{" + chat + tools + "}\n{" + chat + tools + R"(, "tool_choice": "none"})" +
                            "\n{" + chat + R"(, "tools": null})" + "\n{" + chat + R"(, "tools": []})");
  EXPECT_EQ(samples.at(0).tools[0]["function"]["name"], "look");
  for (const std::size_t without : {1, 2, 3}) EXPECT_TRUE(samples.at(without).tools.is_null()) << without;
}

TEST_F(DatasetTest, DeepNestingIsNoJson) {
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  EXPECT_NE(error_of(R"({"messages": )" + deep + "}").find("not a JSON object"), std::string::npos);
}

TEST_F(DatasetTest, ErrorsNameFileLineAndMend) {
  const std::string good = R"({"id": 7, "messages": [{"role": "user", "content": "hi"}]})"
                           "\n";
  const std::pair<std::string, std::string> cases[] = {
      {good + "{", ":2: not a JSON object"},
      {good + good, ":2: id 7 stands twice"},
      {R"({"messages": []})", ":1: 'messages' must be a list, not empty"},
      {R"({"messages": [{"role": "user"}]})", ":1: 'messages[0].content' is missing"},
      {R"({"messages": [{"role": "user", "content": "x"}], "refuse": "no"})",
       ":1: refuse is not true or false"},
      {R"({"messages": [{"role": "user", "content": "x"}], "tools": "look"})", ":1: 'tools' must be a list"},
      {R"({"messages": [{"role": "user", "content": "x"}], "tools": [{"name": "look"}]})",
       ":1: 'tools[0]' must be {\"type\": \"function\""},
      {"\n\n", "no prompts"},
  };
  for (const auto& [text, wanted] : cases) {
    EXPECT_NE(error_of(text).find(wanted), std::string::npos) << error_of(text);
    EXPECT_NE(error_of(text).find("dataset_test.jsonl"), std::string::npos);
  }
}

}  // namespace
}  // namespace stepdown::eval
