#include "engine/tokenizer/tokenizer.h"

#include <cstdlib>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::tokenizer {
namespace {

using formats::TokenizerData;
using Type = TokenizerData::TokenType;
using nlohmann::json;
using testing::ElementsAre;

TokenizerData data_of(const json& golden) {
  TokenizerData data;
  data.model = golden["model"] == "bpe" ? TokenizerData::Model::kBpe : TokenizerData::Model::kSentencePiece;
  data.pre = golden["pre"];
  data.tokens = golden["tokens"].get<std::vector<std::string>>();
  for (const int type : golden["types"]) data.types.push_back(static_cast<Type>(type));
  data.merges = golden["merges"].get<std::vector<std::string>>();
  data.scores = golden.value("scores", std::vector<float>());
  data.add_space_prefix = golden.value("addSpacePrefix", false);
  for (std::size_t i = 0; i < data.types.size(); ++i) {
    if (data.types[i] == Type::kUnknown) data.unknown = static_cast<std::int32_t>(i);
  }
  return data;
}

json golden(const std::string& name) {
  return json::parse(
      read_file(std::string(STEPDOWN_SOURCE_DIR) + "/tests/unit/engine/tokenizer/goldens/" + name + ".json"));
}

/// SentencePiece marks spaces by U+2581, which therefore does not survive, and starts with one.
std::string as_decoded(std::string text, bool space) {
  constexpr std::string_view kMark = "\u2581";
  if (!space || text.empty()) return text;
  for (std::size_t at = text.find(kMark); at != std::string::npos; at = text.find(kMark))
    text.replace(at, kMark.size(), " ");
  return " " + text;
}

void expect_golden(const json& golden) {
  const Tokenizer tokenizer(data_of(golden));
  for (const json& item : golden["cases"]) {
    const auto text = item["text"].get<std::string>();
    const auto expected = item["ids"].get<std::vector<TokenId>>();
    EXPECT_EQ(tokenizer.encode(text, item["special"]), expected) << text;
    EXPECT_EQ(tokenizer.decode(expected, true), as_decoded(text, golden.contains("addSpacePrefix"))) << text;
  }
}

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, EncodesAsTheReferenceDoes) {
  expect_golden(golden(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, Golden,
                         testing::Values("gpt-2", "smollm", "llama-bpe", "qwen2", "sentencepiece"));

TEST(Tokenizer, AgreesOnARealVocabularyWhenOneIsGiven) {
  const char* path = std::getenv("STEPDOWN_TOKENIZER_GOLDEN");
  if (path == nullptr) GTEST_SKIP() << "STEPDOWN_TOKENIZER_GOLDEN names none";
  expect_golden(json::parse(read_file(path)));
}

TEST(Tokenizer, KeepsBytesThatAreNoUtf8) {
  for (const char* name : {"gpt-2", "llama-bpe", "smollm"}) {
    const Tokenizer tokenizer(data_of(golden(name)));
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
      std::string text;
      for (std::uint32_t i = random() % 60; i > 0; --i)
        text += static_cast<char>(random() % 4 == 0 ? random() : 'a' + random() % 26);
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, true)), text);
    }
  }
}

TEST(Tokenizer, LongPiecesTakeNearlyLinearTime) {
  const Tokenizer tokenizer(data_of(golden("gpt-2")));
  const std::string text(1'000'000, 'a');
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, true)), text);
  const std::string spaces(1'000'000, ' ');
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(spaces, true)), spaces);
}

TEST(Tokenizer, ControlTokensEndAnswersAndDecodeToNothing) {
  TokenizerData data = data_of(golden("smollm"));
  data.bos = 1;
  data.eos = 2;
  data.add_bos = true;
  const Tokenizer tokenizer(data);
  EXPECT_THAT(tokenizer.end_tokens(), ElementsAre(0, 2));  // <|endoftext|> by its name, <|im_end|> as EOS
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_TRUE(tokenizer.is_control(1));
  EXPECT_EQ(tokenizer.bytes(1), "");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{1, 2}), "");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{1, 2}, true), "<|im_start|><|im_end|>");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{-5, 1 << 30}), "");
}

TEST(Tokenizer, UserDefinedTokensAreFoundInPlainText) {
  TokenizerData data = data_of(golden("gpt-2"));
  data.tokens.push_back("<tool>");
  data.types.push_back(Type::kUserDefined);
  const Tokenizer tokenizer(data);
  const auto id = static_cast<TokenId>(data.tokens.size() - 1);
  const auto ids = tokenizer.encode("a<tool>b", false);
  EXPECT_EQ(ids[1], id);
  EXPECT_EQ(tokenizer.decode(ids), "a<tool>b");
}

TEST(Tokenizer, IsSafeFromSeveralThreads) {
  const json data = golden("llama-bpe");
  const Tokenizer tokenizer(data_of(data));
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (const json& item : data["cases"]) {
        wrong += tokenizer.encode(item["text"].get<std::string>(), item["special"]) !=
                 item["ids"].get<std::vector<TokenId>>();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

struct Broken {
  const char* name;
  void (*damage)(TokenizerData&);
  const char* says;
};

TEST(Tokenizer, RefusesInconsistentData) {
  const Broken cases[] = {
      {"pre", [](TokenizerData& d) { d.pre = "klingon"; }, "unknown pre-tokenizer 'klingon'"},
      {"merge", [](TokenizerData& d) { d.merges.emplace_back("zz qq"); }, "names no token"},
      {"merge shape", [](TokenizerData& d) { d.merges.emplace_back("zz"); }, "not 'left right'"},
      {"empty", [](TokenizerData& d) { d.tokens.clear(); }, "vocabulary is empty"},
      {"types", [](TokenizerData& d) { d.types.pop_back(); }, "token types"},
      {"eos", [](TokenizerData& d) { d.eos = 1 << 20; }, "outside the vocabulary"},
      {"scores", [](TokenizerData& d) { d.model = TokenizerData::Model::kSentencePiece; },
       "score is missing"},
  };
  for (const Broken& broken : cases) {
    TokenizerData data = data_of(golden("gpt-2"));
    broken.damage(data);
    try {
      const Tokenizer tokenizer(data);
      ADD_FAILURE() << broken.name;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(broken.says));
    }
  }
}

}  // namespace
}  // namespace stepdown::tokenizer
