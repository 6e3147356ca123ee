// Answers are judged by what their own requests ask for, in whichever words the engines know.
#include "operator/gateway/judge/judgement.h"

#include <chrono>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/gateway/judge/stream_judge.h"

namespace stepdown::gateway {
namespace {

using json = nlohmann::ordered_json;

Expectation expected(const json& request) {
  LanguageCache languages;
  return expect(request, true, languages);
}

Fault judge(const json& request, const std::string& text, const std::string& finish = "stop") {
  const json answer = {{"choices", {{{"message", {{"content", text}}}, {"finish_reason", finish}}}}};
  return judge_answer(200, answer.dump(), expected(request), Calibration()).fault;
}

Fault judge_stream(const json& request, const std::vector<std::string>& pieces) {
  StreamJudge stream(expected(request), "");
  for (const std::string& piece : pieces) {
    const nlohmann::json chunk = {{"choices", {{{"delta", {{"content", piece}}}}}}};
    if (const Fault fault = stream.add(chunk); fault != Fault::kNone) return fault;
  }
  stream.add({{"choices", {{{"delta", nlohmann::json::object()}, {"finish_reason", "stop"}}}}});
  return stream.finish(Calibration());
}

const json kSchema = {{"type", "object"},
                      {"properties", {{"severity", {{"enum", {"low", "high"}}}}}},
                      {"required", {"severity"}}};
const std::string kGood = R"({"severity": "low"})";
const std::string kBad = R"({"severity": "odd"})";

struct Case {
  const char* name;
  json request;
  std::string good, bad;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"response_format",
       {{"response_format", {{"type", "json_schema"}, {"json_schema", {{"schema", kSchema}}}}}},
       kGood,
       kBad},
      {"guided_json", {{"guided_json", kSchema}}, kGood, kBad},
      {"guided_json as text", {{"guided_json", kSchema.dump()}}, kGood, kBad},
      {"structured_outputs", {{"structured_outputs", {{"json", kSchema}}}}, kGood, kBad},
      {"guided_regex", {{"guided_regex", "[0-9]{3}"}}, "123", "12a"},
      {"guided_choice", {{"guided_choice", {"low", "high"}}}, "high", "medium"},
      {"guided_grammar", {{"guided_grammar", "root ::= \"a\" \"b\"+"}}, "abb", "ba"},
      {"grammar", {{"grammar", "root ::= \"yes\" | \"no\""}}, "yes", "maybe"},
  };
  return kCases;
}

TEST(JudgementTest, AnAnswerIsWhatItsRequestAsksFor) {
  for (const Case& one : cases()) {
    EXPECT_EQ(judge(one.request, one.good), Fault::kNone) << one.name;
    EXPECT_EQ(judge(one.request, one.bad), Fault::kSchema) << one.name;
    EXPECT_EQ(judge(one.request, one.good.substr(0, 1), "length"), Fault::kTruncated) << one.name;
  }
}

TEST(JudgementTest, AStreamIsStoppedWhereItLeavesWhatItsRequestAsksFor) {
  for (const Case& one : cases()) {
    EXPECT_EQ(judge_stream(one.request, {one.good.substr(0, 1), one.good.substr(1)}), Fault::kNone)
        << one.name;
    EXPECT_EQ(judge_stream(one.request, {one.bad}), Fault::kSchema) << one.name;
    EXPECT_EQ(judge_stream(one.request, {one.good.substr(0, 1)}), Fault::kSchema)
        << one.name << ": ended too soon";
  }
}

// As llama.cpp, xgrammar and outlines write: each is valid, none is what our own engine would say.
TEST(JudgementTest, AStreamMayBeWrittenAsAnyEngineWritesIt) {
  const json schema = {{"type", "object"},
                       {"properties",
                        {{"note", {{"type", "string"}, {"pattern", "^[a-zé]*$"}}},
                         {"id", {{"type", "integer"}}},
                         {"ok", {{"enum", {"é", "no"}}}}}},
                       {"required", {"id", "ok"}},
                       {"additionalProperties", false}};
  const json request = {{"guided_json", schema}};
  for (const std::string text :
       {R"({"id": 1, "ok": "no", "note": "a"})", R"({"note":"a","id":1,"ok":"no"})",
        "\n\n{\r\n  \"id\":\t1,  \"ok\": \"no\"\n}\n", R"({"id": 1.0, "ok": "no"})",
        R"({"id": 1, "ok": "\u00e9"})", R"({"note": "\u00e9", "id": 1, "ok": "no"})"}) {
    EXPECT_EQ(judge(request, text), Fault::kNone) << text;
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
      EXPECT_EQ(judge_stream(request, {text.substr(0, cut), text.substr(cut)}), Fault::kNone)
          << text << " at " << cut;
  }
  for (const std::string text :
       {R"({"id": 1})", R"({"ok": "yes", "id": 1})", R"({"ok": "no", "id": 1, "more": 2})"})
    EXPECT_EQ(judge_stream(request, {text}), Fault::kSchema) << text;
}

TEST(JudgementTest, ATextThatHoldsMoreThanWasConstrainedIsNotHeldToTheConstraint) {
  const json request = {{"grammar", "root ::= \"yes\" | \"no\""}};
  EXPECT_EQ(judge(request, "maybe"), Fault::kSchema);
  for (const auto& [field, value] : std::map<std::string, bool>{
           {"grammar_lazy", true}, {"include_stop_str_in_output", true}, {"skip_special_tokens", false}}) {
    json more = request;
    more[field] = value;
    EXPECT_EQ(judge(more, "yes</s>"), Fault::kNone) << field;
    more[field] = !value;
    EXPECT_EQ(judge(more, "yes</s>"), Fault::kSchema) << field;
  }
}

TEST(JudgementTest, ReasoningRefusalsAndCallsAreAnswersAndStreamAsTheyCome) {
  for (const char* field : {"reasoning_content", "reasoning", "refusal"}) {
    StreamJudge stream(expected(json::object()), "");
    EXPECT_EQ(stream.add({{"choices", {{{"delta", {{field, "as"}}}}}}}), Fault::kNone);
    EXPECT_EQ(stream.content_chunks(), 1) << field;
    stream.add({{"choices", {{{"delta", nlohmann::json::object()}, {"finish_reason", "length"}}}}});
    EXPECT_EQ(stream.finish(Calibration()), Fault::kNone) << field;
    const json answer = {
        {"choices", {{{"message", {{"content", nullptr}, {field, "as"}}}, {"finish_reason", "length"}}}}};
    EXPECT_EQ(judge_answer(200, answer.dump(), expected(json::object()), Calibration()).fault, Fault::kNone);
  }
  StreamJudge calls(expected(json::object()), "");
  calls.add({{"choices", {{{"delta", {{"tool_calls", {{{"index", 0}}}}}}}}}});
  EXPECT_EQ(calls.content_chunks(), 1);
}

TEST(JudgementTest, WhatTakesLongToCompileOrToParseHoldsNobodyUp) {
  json schema = {{"type", "object"}, {"properties", json::object()}};
  for (int i = 0; i < 2'000; ++i)
    schema["properties"]["p" + std::to_string(i)] = {{"type", "string"}, {"pattern", "^[a-z]{1,40}$"}};
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(expected({{"guided_json", schema}}).language.any_text());
  EXPECT_EQ(judge_answer(200, std::string(50U << 20U, '['), Expectation(), Calibration()).fault,
            Fault::kMalformed);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
}

TEST(JudgementTest, Fp16IsNotCutForItsForm) {
  StreamJudge stream(expected({{"guided_json", kSchema}}), "", true);
  EXPECT_EQ(stream.add({{"choices", {{{"delta", {{"content", "Sorry"}}}, {"finish_reason", "stop"}}}}}),
            Fault::kNone);
  EXPECT_EQ(stream.accepted(), "Sorry");
  EXPECT_EQ(stream.finish(Calibration()), Fault::kSchema);
}

TEST(JudgementTest, WhatTheClientBeganBelongsToTheAnswer) {
  const json request = {{"guided_json", kSchema},
                        {"continue_final_message", true},
                        {"messages", {{{"role", "assistant"}, {"content", R"({"severity": )"}}}}};
  EXPECT_EQ(judge(request, R"("low"})"), Fault::kNone);
  EXPECT_EQ(judge(request, kGood), Fault::kSchema);
  EXPECT_EQ(judge_stream(request, {R"("lo)", R"(w"})"}), Fault::kNone);
}

TEST(JudgementTest, WhatTheEngineWillRefuseIsNotJudgedHere) {
  for (const json& request : {json{{"guided_regex", "("}}, json{{"response_format", {{"type", "xml"}}}},
                              json{{"guided_json", kSchema}, {"guided_choice", {"a"}}}}) {
    EXPECT_EQ(judge(request, "anything"), Fault::kNone) << request;
  }
}

}  // namespace
}  // namespace stepdown::gateway
