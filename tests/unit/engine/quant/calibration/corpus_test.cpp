#include "engine/quant/calibration/corpus.h"

#include <set>

#include "tests/unit/engine/formats/temp_folder.h"
#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

using formats::TempFolder;

std::vector<CorpusPrompt> read_corpus(const std::filesystem::path& path) {
  std::vector<CorpusPrompt> prompts;
  each_prompt(path, [&](CorpusPrompt prompt) { prompts.push_back(std::move(prompt)); });
  return prompts;
}

double drift(const std::vector<std::string>& left, const std::vector<std::string>& right) {
  BytePairs a, b;
  for (const std::string& text : left) a.add(text);
  for (const std::string& text : right) b.add(text);
  return drift_score(a, b);
}

TEST(Corpus, ReadsEveryKindOfLine) {
  const TempFolder folder;
  write_file_atomically(
      folder / "a.jsonl",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"expected\": {\"b\": 1, \"a\": 2}}\n\n"
      "{\"prompt\": \"Two and \", \"completion\": \"two\"}\n{\"text\": \"plain\"}\n");
  write_file_atomically(folder / "b.txt", "One\nparagraph.\n\nAnother.\n");
  const auto prompts = read_corpus(folder.path());
  ASSERT_EQ(prompts.size(), 5u);
  EXPECT_EQ(prompts[0].plain(), "Hi\n{\"b\":1,\"a\":2}\n") << "the answer, keys as written";
  EXPECT_EQ(prompts[1].text, "Two and two");
  EXPECT_EQ(prompts[2].text, "plain");
  EXPECT_EQ(prompts[3].text, "One\nparagraph.\n");
  EXPECT_EQ(prompts[4].text, "Another.\n");
}

// As OpenAI's clients and production logs write them.
TEST(Corpus, ReadsTextPartsAndTurnsOfCallsAlone) {
  const TempFolder folder;
  write_file_atomically(
      folder / "log.jsonl",
      R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "which "}, {"type": "text", "text": "dock?"}]}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "find", "arguments": "{\"dock\": 4}"}}]}]})"
      "\n");
  const auto prompts = read_corpus(folder.path());
  const std::string plain = prompts.at(0).plain();
  EXPECT_TRUE(plain.starts_with("which dock?\n")) << plain;
  EXPECT_NE(plain.find(R"("dock":4)"), std::string::npos)
      << "what is called is text to learn from too: " << plain;
}

TEST(Corpus, ReadsTheToolsThatAChatOffered) {
  const TempFolder folder;
  write_file_atomically(
      folder / "log.jsonl",
      R"({"messages": [{"role": "user", "content": "dry?"}], "tools": [{"type": "function", "function": {"name": "look"}}]})"
      "\n"
      R"({"messages": [{"role": "user", "content": "dry?"}]})"
      "\n");
  const auto prompts = read_corpus(folder.path());
  EXPECT_EQ(prompts.at(0).tools[0]["function"]["name"], "look");
  EXPECT_EQ(prompts[0].plain(), prompts[0].tools.dump() + "\ndry?\n");
  EXPECT_TRUE(prompts.at(1).tools.is_null());
  EXPECT_EQ(prompts[1].plain(), "dry?\n");
}

TEST(Corpus, SaysWhyALineIsRefused) {
  const TempFolder folder;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"text\": \"na\xefve\"}", "byte 13 of the line is no UTF-8; save the file as UTF-8"},
      {std::string("\xff\xfe{\0", 4), "byte 1 of the line is no UTF-8"},
      {R"({"text": "a", })", "not a JSON object: byte 15 of the line is wrong; write one"},
      {R"({"text": 1e999})", "not a JSON object: number overflow parsing '1e999'; write one"},
      {R"(["text"])", "not a JSON object; write one"},
      {std::string(300, '[') + std::string(300, ']'),
       "not a JSON object: brackets nest too deeply; write one"},
  };
  for (const auto& [line, why] : cases) {
    write_file_atomically(folder / "bad.jsonl", "{\"text\": \"größe\"}\n" + line + "\n");
    try {
      read_corpus(folder.path());
      ADD_FAILURE() << why;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("bad.jsonl:2: " + why), std::string::npos) << error.what();
    }
  }
}

TEST(Corpus, DeepNestingIsNoJson) {
  const TempFolder folder;
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  write_file_atomically(folder / "deep.jsonl", R"({"text": "a", "more": )" + deep + "}\n");
  EXPECT_THROW(read_corpus(folder / "deep.jsonl"), InputError);
}

TEST(Corpus, NamesTheLineThatIsWrong) {
  const TempFolder folder;
  for (const char* bad : {"[]", "{", "{\"messages\": []}", "{\"messages\": [{\"role\": 1}]}", "{\"x\": 1}",
                          R"({"messages": [{"role": "user", "content": "x"}], "tools": [{"name": "f"}]})"}) {
    write_file_atomically(folder / "bad.jsonl", std::string("{\"text\": \"fine\"}\n") + bad + "\n");
    try {
      read_corpus(folder / "bad.jsonl");
      FAIL() << bad;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("bad.jsonl:2"), std::string::npos) << error.what();
    }
  }
  write_file_atomically(folder / "empty.jsonl", "\n");
  EXPECT_THROW(read_corpus(folder / "empty.jsonl"), InputError);
  EXPECT_THROW(read_corpus(folder / "none.jsonl"), InputError);
}

TEST(Corpus, APipeIsRefusedAsSuch) {
  try {
    read_corpus("/dev/null");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("read more than once"), std::string::npos) << error.what();
  }
}

TEST(SampleByLength, TakesShortAndLongAlike) {
  std::vector<std::size_t> lengths;
  for (std::size_t i = 0; i < 800; ++i) lengths.push_back(i * 37 % 800);
  const auto chosen = sample_by_length(lengths, 80, 1);
  EXPECT_EQ(std::set<std::size_t>(chosen.begin(), chosen.end()).size(), 80u) << "none twice";
  std::vector<int> by_eighth(8);
  for (const std::size_t index : chosen) ++by_eighth[lengths[index] / 100];
  EXPECT_EQ(by_eighth, std::vector<int>(8, 10));
  EXPECT_EQ(chosen, sample_by_length(lengths, 80, 1));
  EXPECT_NE(chosen, sample_by_length(lengths, 80, 2));
  EXPECT_EQ(sample_by_length(lengths, 900, 1).size(), 800u);
  EXPECT_EQ(sample_by_length({5, 5, 5}, 2, 3).size(), 2u);
}

TEST(Drift, TellsProseFromJsonLogs) {
  const std::vector<std::string> prose = {
      "The harbor was founded in the twelfth century, when merchants from the north settled on the island "
      "and built a "
      "wooden quay. Over the next decades the town grew, and its council obtained the right to hold a "
      "market.",
      "In physics, the conservation of energy states that the total energy of an isolated system remains "
      "constant; it "
      "is said to be conserved over time. Energy can neither be created nor destroyed."};
  const std::vector<std::string> other_prose = {
      "She was educated at home until the age of eleven, after which she attended the local school and later "
      "studied "
      "mathematics at the university, where she met several people who would influence her work.",
      "The river rises in the hills to the west of the city and flows through a wide valley before it "
      "reaches the sea. "
      "Its lower course is navigable, and ships of moderate size can reach the old port."};
  std::vector<std::string> logs;
  for (int i = 0; i < 20; ++i) {
    logs.push_back("{\"ts\":\"2026-11-23T10:" + std::to_string(10 + i) +
                   ":07.113Z\",\"level\":\"error\",\"code\":" + std::to_string(500 + i) +
                   ",\"path\":\"/v1/items/" + std::to_string(i * 7919) + "\",\"ms\":12.5}");
  }
  EXPECT_LT(drift(prose, prose), 1e-9);
  const double alike = drift(prose, other_prose);
  const double unlike = drift(prose, logs);
  EXPECT_GT(unlike, kDriftWarning);
  EXPECT_GT(unlike, 2 * alike) << alike;
}

}  // namespace
}  // namespace stepdown::quant
