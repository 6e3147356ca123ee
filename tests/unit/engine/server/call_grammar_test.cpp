#include "engine/server/call_grammar.h"

#include <random>

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/schema/schema.h"
#include "engine/server/call_schema.h"
#include "engine/server/tool_format.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFormats[] = {"<tool_call>",   "<tool_call><function=",  "[TOOL_CALLS]",
                                    "<|tool_call|>", "<｜tool▁calls▁begin｜>", "llama"};

/// The strict tool `f` takes a small number and perhaps a text; `g` takes whatever comes.
ToolUse use_of(const std::string& rest = "") {
  return read_tools(ordered_json::parse(R"({"tools": [
      {"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "object",
        "$defs": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
        "properties": {"a": {"$ref": "#/$defs/n"}, "b": {"type": "string"}}, "required": ["a"],
        "additionalProperties": false}}},
      {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "minProperties": "odd"}}}])" +
                                        rest + "}"));
}

enum class Holds { kWhole, kBeginning, kNot };

Holds judge(const char* in_template, const ToolUse& use, std::string_view text) {
  schema::PrefixMatcher matcher(free_call_grammar(tool_format_of(in_template), use));
  if (matcher.accept(text) != text.size()) return Holds::kNot;
  return matcher.complete() ? Holds::kWhole : Holds::kBeginning;
}

TEST(CallGrammar, AnyTextIsRightUntilACallBegins) {
  for (const char* format : kFormats) {
    for (const char* text :
         {"", "Hello.", "a < b, <tool, [TOOL_ <|tool_cal", "  \n so {\"name\": 1}", "\xff\x80"})
      EXPECT_EQ(judge(format, use_of(), text), Holds::kWhole) << format << ": " << text;
  }
}

struct Case {
  const char* format;
  const char* text;
  Holds holds;
};

TEST(CallGrammar, WhatACallBeginsIsACallOfAnOfferedTool) {
  constexpr auto kWhole = Holds::kWhole;
  constexpr auto kBeginning = Holds::kBeginning;
  constexpr auto kNot = Holds::kNot;
  const Case cases[] = {
      {"<tool_call>", "Let me.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 3}}\n</tool_call>",
       kWhole},
      {"<tool_call>", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 3}}", kBeginning},
      {"<tool_call>", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 13", kNot},
      {"<tool_call>", "<tool_call>{\"name\": \"h", kNot},
      {"<tool_call>", "<<tool_call> is", kNot},
      {"<tool_call>", "<tool_call>{\"name\": \"g\", \"arguments\": {\"x\": [{}]}}</tool_call>", kWhole},
      {"<tool_call>", "<tool_call>{\"name\": \"g\", \"arguments\": 1", kNot},
      {"<tool_call>",
       "<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>\n<tool_call>{\"name\": \"f\", "
       "\"arguments\": {\"a\": 1}}"
       "</tool_call>\n",
       kWhole},
      {"<tool_call>", "<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call> And", kNot},
      {"<tool_call><function=",
       "<tool_call>\n<function=f>\n<parameter=a>\n3\n</parameter>\n</function>\n</tool_call>", kWhole},
      {"<tool_call><function=",
       "<tool_call>\n<function=f>\n<parameter=a>\n3\n</parameter>\n<parameter=b>\n\"</parameter>7\"\n</"
       "parameter>\n</function>\n"
       "</tool_call>",
       kWhole},
      {"<tool_call><function=", "<tool_call>\n<function=f>\n<parameter=b>", kNot},
      {"<tool_call><function=", "<tool_call>\n<function=f>\n<parameter=a>\nfour", kNot},
      {"<tool_call><function=", "<tool_call>\n<function=f>\n</function>", kNot},
      {"<tool_call><function=",
       "<tool_call>\n<function=g>\n<parameter=x>\nfour\n</parameter>\n</function>\n</tool_call>", kWhole},
      {"[TOOL_CALLS]", "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 3}}]", kWhole},
      {"[TOOL_CALLS]", "[TOOL_CALLS]f[ARGS]{\"a\": 3}", kWhole},
      {"[TOOL_CALLS]", "[TOOL_CALLS]f[ARGS]{\"a\": 3}[TOOL_CALLS]g[ARGS]{}", kWhole},
      {"[TOOL_CALLS]", "[TOOL_CALLS]f[ARGS]{\"b\"", kNot},
      {"[TOOL_CALLS]", "[TOOL_CALLS]h", kNot},
      {"<|tool_call|>", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 3}}]", kWhole},
      {"<|tool_call|>", "<|tool_call|>[]", kNot},
      {"<｜tool▁calls▁begin｜>",
       "Ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": "
       "1}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       kWhole},
      {"<｜tool▁calls▁begin｜>",
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": "
       "1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       kWhole},
      {"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": \"",
       kNot},
      {"llama", "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", kWhole},
      {"llama", " \n{\"name\": \"f\", \"parameters\": {\"a\": 1}}; {\"name\": \"g\", \"parameters\": {}}",
       kWhole},
      {"llama", "{\"answer\": 1}", kWhole},
      {"llama", "{ \"names\": []}", kWhole},
      {"llama", "{ \"name\": \"f\", \"parameters\": {\"a\": \"x\"}}", kNot},
      {"llama", "{\n \"name\": \"h\"", kNot},
      {"llama", "Here: {\"answer\"", kWhole},
  };
  for (const Case& one : cases) EXPECT_EQ(judge(one.format, use_of(), one.text), one.holds) << one.text;
}

TEST(CallGrammar, ParametersThatCombinatorsDeclareAreParameters) {
  const Tool tool{"f", ordered_json::parse(R"({"type": "object", "properties": {"a": {"type": "integer"}},
                       "allOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}]})"),
                  true};
  const auto schema = schema::Schema::compile(arguments_schema(tool, "#"));
  EXPECT_TRUE(schema->validate_text(R"({"a": 1, "b": 2})").empty());
  EXPECT_FALSE(schema->validate_text(R"({"a": 1})").empty());
}

TEST(CallGrammar, OneCallWhereNoMoreAreWanted) {
  const ToolUse one = use_of(R"(, "parallel_tool_calls": false)");
  const Case cases[] = {
      {"<tool_call>", "<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>\n<", Holds::kNot},
      {"[TOOL_CALLS]", "[TOOL_CALLS]g[ARGS]{}[", Holds::kNot},
      {"<|tool_call|>", "<|tool_call|>[{\"name\": \"g\", \"arguments\": {}},", Holds::kNot},
      {"llama", "{\"name\": \"g\", \"parameters\": {}};", Holds::kNot},
  };
  for (const Case& each : cases) EXPECT_EQ(judge(each.format, one, each.text), each.holds) << each.text;
}

/// A byte that may come next, at random with a liking for ends.
std::optional<unsigned char> next_byte(const schema::PrefixMatcher& matcher, std::mt19937_64& random) {
  std::vector<unsigned char> bytes;
  for (int byte = 0; byte < 128; ++byte) {
    if (!schema::PrefixMatcher(matcher).accept(static_cast<unsigned char>(byte))) continue;
    const bool ends = std::string_view("\"]}:>/").find(static_cast<char>(byte)) != std::string_view::npos;
    bytes.insert(bytes.end(), ends ? 12 : 1, static_cast<unsigned char>(byte));
  }
  for (int byte = 128; byte < 256 && bytes.empty(); ++byte) {  // marks of some formats
    if (schema::PrefixMatcher(matcher).accept(static_cast<unsigned char>(byte)))
      bytes.push_back(static_cast<unsigned char>(byte));
  }
  if (bytes.empty()) return std::nullopt;
  return bytes[random() % bytes.size()];
}

/// What the grammar calls whole is parted into calls that hold what was promised, in every format.
TEST(CallGrammar, WhateverEndsBehindAnOpeningIsAValidCall) {
  std::mt19937_64 random(3);
  const ToolUse use = use_of();
  const auto arguments = schema::Schema::compile(use.tools[0].parameters);
  for (const char* taught : kFormats) {
    const ToolFormat& format = tool_format_of(taught);
    const auto grammar = free_call_grammar(format, use);
    std::size_t called = 0;
    for (int run = 0; run < 200; ++run) {
      schema::PrefixMatcher matcher(grammar);
      std::string text(format.leading ? kLeadingCall : format.opening);
      ASSERT_EQ(matcher.accept(text), text.size());
      while (text.size() < 2000 && !(matcher.complete() && (matcher.finished() || random() % 4 == 0))) {
        const auto byte = next_byte(matcher, random);
        ASSERT_TRUE(byte || matcher.complete()) << text;
        if (!byte) break;
        ASSERT_TRUE(matcher.accept(*byte));
        text += static_cast<char>(*byte);
      }
      if (!matcher.complete()) continue;
      ToolCallSplitter splitter(format, false);
      EXPECT_EQ(splitter.push(text), "") << text;
      const auto end = splitter.finish();
      ASSERT_FALSE(end.calls.empty()) << text;
      for (const ToolCall& call : end.calls) {
        ++called;
        ASSERT_TRUE(call.name == "f" || call.name == "g") << text;
        const auto parsed = ordered_json::parse(call.arguments, nullptr, false);
        EXPECT_TRUE(parsed.is_object()) << text;
        if (call.name == "f") {
          EXPECT_TRUE(arguments->validate_text(call.arguments).empty()) << text;
        }
      }
    }
    EXPECT_GT(called, 50U) << taught;
  }
}

TEST(CallGrammar, AStrictToolThatCannotBeHeldIsRefusedByItsName) {
  ToolUse use = use_of();
  use.tools[1].strict = true;  // its schema is none
  for (const char* format : kFormats) {
    try {
      free_call_grammar(tool_format_of(format), use);
      FAIL() << format;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("'g'"), std::string::npos) << error.what();
    }
  }
}

TEST(CallGrammar, ParametersAreFoundWhateverTheirNames) {
  ToolUse use = use_of();
  use.tools[0].parameters = ordered_json::parse(
      R"({"type": "object", "properties": {"100%": {"type": "integer"}, "a%25b": {"type": "integer"},
          "c/d": {"type": "integer"}, "~e": {"type": "integer"}}, "additionalProperties": false})");
  for (const char* name : {"100%", "a%25b", "c/d", "~e"}) {
    const std::string begun = "<tool_call><function=f><parameter=" + std::string(name) + ">";
    EXPECT_EQ(judge("<function=", use, begun + "7</parameter></function></tool_call>"), Holds::kWhole)
        << name;
    EXPECT_EQ(judge("<function=", use, begun + "\"7"), Holds::kNot) << name;
  }
}

TEST(CallGrammar, ToolsThatAreAllowedAreThoseThatAreCalled) {
  const ToolUse use = use_of(
      R"(, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
          {"type": "function", "function": {"name": "g"}}]}})");
  EXPECT_EQ(use.choice, ToolUse::Choice::kAuto);
  EXPECT_EQ(use.declared.size(), 2U) << "the template shows all";
  EXPECT_EQ(judge("<tool_call>", use, "<tool_call>{\"name\": \"g\", \"arg"), Holds::kBeginning);
  EXPECT_EQ(judge("<tool_call>", use, "<tool_call>{\"name\": \"f"), Holds::kNot);
}

}  // namespace
}  // namespace stepdown::server
