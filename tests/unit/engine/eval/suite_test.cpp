#include "engine/eval/suite.h"

#include "tests/unit/engine/base/run_command.h"
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/eval/evaluate_command.h"
#include "engine/eval/metric_kinds.h"

namespace stepdown::eval {
namespace {

using nlohmann::json;

Scores judge(const json& config, const Sample& sample, const std::string& text,
             const std::string& finish = "stop") {
  Scores scores;
  Answers answers;
  answers.free = {.text = text, .finish_reason = finish};
  for (const auto& suite : make_suites(json::array({config}))) suite->score(sample, answers, scores);
  return scores;
}

Sample sample_with(const json& expected) {
  Sample sample;
  sample.messages = json::parse(R"([{"role": "user", "content": "The pallet\n fell from Rack 7 at dawn."}])");
  if (!expected.is_null()) sample.expected = expected;
  return sample;
}

TEST(JsonSchemaSuite, WantsAnEndByItselfAndAValidDocument) {
  const json config = {{"type", "jsonSchema"},
                       {"schema", json::parse(R"({"type": "object", "properties": {"n": {"type": "integer"}},
                                                  "required": ["n"], "additionalProperties": false})")}};
  EXPECT_EQ(judge(config, sample_with(nullptr), R"({"n": 3})").at("jsonPass"), 1);
  EXPECT_EQ(judge(config, sample_with(nullptr), R"({"n": "3"})").at("jsonPass"), 0);
  EXPECT_EQ(judge(config, sample_with(nullptr), R"({"n": 3)").at("jsonPass"), 0);
  EXPECT_EQ(judge(config, sample_with(nullptr), R"({"n": 3})", "length").at("jsonPass"), 0);
}

TEST(JsonSchemaSuite, PropertiesFollowTheOrderOfRequired) {
  const auto suites = make_suites(json::parse(R"([{"type": "jsonSchema", "schema": {"type": "object",
      "required": ["z", "a"], "additionalProperties": false,
      "properties": {"a": {"type": "string"}, "m": {"type": "string"}, "z": {"type": "string"}}}}])"));
  std::string order;
  for (const auto& [name, property] : (*suites[0]->schema())["properties"].items()) order += name;
  EXPECT_EQ(order, "zam") << "an API server has sorted the keys, but not the array";
}

TEST(ExactMatchSuite, CountsEqualFields) {
  const Sample sample = sample_with({{"severity", "high"}, {"cause", "fall"}});
  const json all = {{"type", "exactMatch"}};
  EXPECT_EQ(judge(all, sample, R"({"severity": "high", "cause": "leak"})").at("fieldAccuracy"), 0.5);
  EXPECT_EQ(judge(all, sample, R"({"severity": "high", "cause": "leak"})").at("exactMatch"), 0);
  EXPECT_EQ(judge(all, sample, R"({"cause": "fall", "severity": "high"})").at("exactMatch"), 1);
  EXPECT_EQ(judge(all, sample, "high, fall").at("fieldAccuracy"), 0);
  const json one = {{"type", "exactMatch"}, {"fields", {"severity"}}};
  EXPECT_EQ(judge(one, sample, R"({"severity": "high"})").at("fieldAccuracy"), 1);
  EXPECT_TRUE(judge(all, sample_with(nullptr), "{}").empty()) << "nothing to compare with";
  EXPECT_EQ(judge(all, sample_with("yes"), "yes").at("exactMatch"), 1);
}

TEST(CitationSuite, CitationsMustStandInThePrompt) {
  const json quotes = {{"type", "citation"}};
  const Sample sample = sample_with(nullptr);
  EXPECT_EQ(judge(quotes, sample, R"(It says "fell from rack 7".)").at("citation"), 1)
      << "line breaks and case aside";
  EXPECT_EQ(judge(quotes, sample, R"(It says "fell from rack 8".)").at("citation"), 0);
  EXPECT_EQ(judge(quotes, sample, "No source given.").at("citation"), 0);
  const json field = {{"type", "citation"}, {"field", "evidence"}};
  EXPECT_EQ(judge(field, sample, R"({"evidence": ["pallet fell", "at dawn"]})").at("citation"), 1);
  EXPECT_EQ(judge(field, sample, R"({"evidence": ["pallet fell", "at noon"]})").at("citation"), 0);
}

TEST(RefusalSuite, BothWrongWaysCount) {
  const json config = {{"type", "refusal"}};
  Sample harmful = sample_with(nullptr);
  harmful.refuse = true;
  EXPECT_EQ(judge(config, harmful, "I cannot help with that.").at("refusal"), 1);
  EXPECT_EQ(judge(config, harmful, "Sure, first you").at("refusal"), 0);
  EXPECT_EQ(judge(config, sample_with(nullptr), "I'm unable to say.").at("refusal"), 0);
}

TEST(Suites, BadConfigurationIsNamedByPath) {
  const std::pair<json, std::string> cases[] = {
      {{{"type", "vibes"}}, "suites[0].type: unknown suite type"},
      {{{"type", "jsonSchema"}}, "suites[0].schema: schema is missing"},
      {{{"type", "jsonSchema"}, {"schema", {{"type", "text"}}}}, "suites[0].schema: #/type: unknown type"},
      {{{"type", 3}}, "suites[0].type: unknown suite type"},
      {"refusal", "suites[0]: not an object"},
      {{{"type", "exactMatch"}, {"fields", "severity"}}, "suites[0].fields: not an array"},
      {{{"type", "refusal"}, {"phrases", json::array()}}, "suites[0].phrases: not a list"},
      {{{"type", "citation"}, {"field", 3}}, "suites[0].field: not a name"},
      {{{"type", "retrieval"}, {"key", 4}}, "suites[0].key: suites of type retrieval do not read it"},
      {{{"type", "toolCall"}, {"count", 4}}, "suites[0].count: suites of type toolCall do not read it"},
  };
  for (const auto& [config, wanted] : cases) {
    try {
      make_suites(json::array({config}));
      FAIL() << config;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(wanted), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(make_suites("all"), InputError);
}

TEST(Suites, SchemasThatNestTooDeeplyAreRefused) {
  std::string deep = R"([{"type": "jsonSchema", "schema": )";
  for (int i = 0; i < 200'000; ++i) deep += R"({"a": )";
  deep += "1" + std::string(200'000, '}') + "}]";
  EXPECT_THROW(run_command(evaluate_command(), {"--model", "none", "--suites", deep}), InputError);
}

/// Scores of the suite's own prompt `index` for an answer made from its expected one.
double judge_own(const json& config, std::size_t index, const std::string& before, const std::string& after) {
  const auto suites = make_suites(json::array({config}));
  const Sample& sample = suites[0]->prompts()[index];
  const auto& expected = *sample.expected;
  Answers answers;
  answers.free = {
      .text = before + (expected.is_string() ? expected.get<std::string>() : expected.dump()) + after,
      .finish_reason = "stop"};
  Scores scores;
  suites[0]->score(sample, answers, scores);
  return scores.begin()->second;
}

TEST(ArithmeticSuite, TheLastNumberCounts) {
  const json config = {{"type", "arithmetic"}, {"count", 6}};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(judge_own(config, i, "3 and 4 make ", "."), 1) << i;
    EXPECT_EQ(judge_own(config, i, "", " or 100003"), 0) << i;
    EXPECT_EQ(judge_own(config, i, "1", ""), 0) << i;
  }
  EXPECT_THROW(make_suites(json::array({{{"type", "arithmetic"}, {"count", 0}}})), InputError);
}

TEST(RetrievalSuite, NeedlesLieAtEveryDepthAndAreToldApart) {
  const json config = {{"type", "retrieval"}, {"count", 5}, {"words", 300}, {"keys", 4}};
  const auto suites = make_suites(json::array({config}));
  std::size_t before = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const Sample& sample = suites[0]->prompts()[i];
    const auto text = sample.messages[0]["content"].get<std::string>();
    const std::size_t at = text.find("locker is " + sample.expected->get<std::string>());
    ASSERT_NE(at, std::string::npos) << i;
    EXPECT_GE(at, before) << "deeper each time";
    before = at;
    EXPECT_EQ(judge_own(config, i, "It is ", "."), 1);
    EXPECT_EQ(judge_own(config, i, "", ""), 1);
  }
  Scores scores;
  Answers wrong;
  wrong.free = {.text = "0000", .finish_reason = "stop"};
  suites[0]->score(suites[0]->prompts()[0], wrong, scores);
  EXPECT_EQ(scores.at("multiKeyRetrieval"), 0);
}

TEST(RetrievalSuite, OneNeedleAndManyAreFiguresOfTheirOwn) {
  const auto suites = make_suites(json::array(
      {{{"type", "retrieval"}, {"count", 2}}, {{"type", "retrieval"}, {"count", 2}, {"keys", 4}}}));
  const char* metrics[] = {"retrieval", "multiKeyRetrieval"};
  for (std::size_t of = 0; of < 2; ++of) {
    for (Sample sample : suites[of]->prompts()) {
      sample.id += "-2";  // as where the user's prompts have that id
      Answers answers;
      answers.free = {.text = sample.expected->get<std::string>(), .finish_reason = "stop"};
      Scores scores;
      for (const auto& suite : suites) suite->score(sample, answers, scores);
      EXPECT_EQ(scores, (Scores{{metrics[of], 1.0}})) << sample.id;
      EXPECT_EQ(metric_kind(metrics[of]).name, metrics[of]);
      EXPECT_FALSE(metric_kind(metrics[of]).meaning.empty());
    }
  }
}

TEST(ToolCallSuite, NameAndArgumentsMustBeRight) {
  const json config = {{"type", "toolCall"}};
  const Sample sample = sample_with({{"name", "stop_belt"}, {"arguments", {{"belt", 7}}}});
  for (const char* right :
       {R"({"name": "stop_belt", "arguments": {"belt": 7}})",
        "<tool_call>\n{\"name\": \"stop_belt\", \"arguments\": {\"belt\": 7}}\n</tool_call>",
        R"(Sure: {"name": "stop_belt", "parameters": {"belt": 7}} done)",
        R"({"name": "stop_belt", "arguments": "{\"belt\": 7}"})"}) {
    EXPECT_EQ(judge(config, sample, right).at("toolCall"), 1) << right;
  }
  for (const char* wrong :
       {"", "stop_belt(7)", R"({"name": "stop_belt"})", R"({"name": "stop_belt", "arguments": {"belt": 8}})",
        R"({"name": "start_belt", "arguments": {"belt": 7}})"}) {
    EXPECT_EQ(judge(config, sample, wrong).at("toolCall"), 0) << wrong;
  }
  EXPECT_TRUE(judge(config, sample_with("text"), "{}").empty());
}

TEST(MultipleChoiceSuite, TheFirstLoneLetterCountsAndAloneItIsFlagged) {
  const json config = {{"type", "multipleChoice"}};
  EXPECT_EQ(judge(config, sample_with("B"), "(b) because").at("multipleChoice"), 1);
  EXPECT_EQ(judge(config, sample_with("B"), "Answer: B").at("multipleChoice"), 1);
  EXPECT_EQ(judge(config, sample_with("B"), "C").at("multipleChoice"), 0);
  EXPECT_EQ(judge(config, sample_with("B"), "").at("multipleChoice"), 0);
  EXPECT_TRUE(judge(config, sample_with("Bee"), "B").empty());
  EXPECT_EQ(warnings_about(json::array({config})).size(), 1u);
  EXPECT_TRUE(warnings_about(json::array({config, {{"type", "exactMatch"}}})).empty());
  EXPECT_TRUE(warnings_about(json::array()).empty());
}

}  // namespace
}  // namespace stepdown::eval
