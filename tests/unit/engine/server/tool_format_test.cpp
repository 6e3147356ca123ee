#include "engine/server/tool_format.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/schema/schema.h"
#include "engine/server/api_error.h"

namespace stepdown::server {
namespace {

using nlohmann::ordered_json;

struct Case {
  const char* in_template;
  const char* answer;
  std::string content;
  std::vector<std::pair<std::string, std::string>> calls;
};

const Case kCases[] = {
    {"<tool_call>",
     "Let me look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\"}}\n</tool_call>",
     "Let me look.\n",
     {{"f", "{\"a\":\"}\"}"}}},
    {"<tool_call>",
     "<tool_call>{\"name\":\"f\",\"arguments\":{}}</"
     "tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":{\"b\":[1]}}</tool_call>",
     "",
     {{"f", "{}"}, {"g", "{\"b\":[1]}"}}},
    {"<tool_call>", "<tool_call> is how one calls", "<tool_call> is how one calls", {}},
    {"<tool_call>", "a < b", "a < b", {}},
    {"<tool_call> <function=",
     "<tool_call>\n<function=f>\n<parameter=city>\nOslo\n</parameter>\n<parameter=n>\n3\n</parameter>\n</"
     "function>\n</tool_call>",
     "",
     {{"f", "{\"city\":\"Oslo\",\"n\":3}"}}},
    {"[TOOL_CALLS]",
     "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", \"arguments\": {}}]",
     "",
     {{"f", "{\"a\":1}"}, {"g", "{}"}}},
    {"[TOOL_CALLS]",
     "[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g[CALL_ID]x[ARGS]{}",
     "",
     {{"f", "{\"a\":1}"}, {"g", "{}"}}},
    {"<|tool_call|>",
     "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]",
     "",
     {{"f", "{\"a\":1}"}}},
    {"<｜tool▁calls▁begin｜>",
     "Ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": "
     "1}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "Ok",
     {{"f", "{\"a\":1}"}}},
    {"<｜tool▁calls▁begin｜>",
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": "
     "1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "",
     {{"f", "{\"a\":1}"}}},
    {"llama", "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "", {{"f", "{\"a\":1}"}}},
    {"llama",
     "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}",
     "",
     {{"f", "{}"}, {"g", "{}"}}},
    {"llama", "{\"answer\": 1}", "{\"answer\": 1}", {}},
    {"llama", "So {\"name\": \"f\", \"parameters\": {}}", "So {\"name\": \"f\", \"parameters\": {}}", {}},
    {"llama", "", "", {}},
};

TEST(ToolFormat, PartsContentFromCallsHoweverItComes) {
  for (const Case& one : kCases) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{1000}}) {
      ToolCallSplitter splitter(tool_format_of(one.in_template), false);
      std::string content;
      const std::string_view answer = one.answer;
      for (std::size_t at = 0; at < answer.size(); at += piece) {
        content += splitter.push(answer.substr(at, piece));
        EXPECT_TRUE(one.content.starts_with(content)) << one.answer << ": shown too early: " << content;
      }
      const ToolCallSplitter::End end = splitter.finish();
      EXPECT_EQ(content + end.content, one.content);
      std::vector<std::pair<std::string, std::string>> calls;
      for (const ToolCall& call : end.calls) calls.emplace_back(call.name, call.arguments);
      EXPECT_EQ(calls, one.calls) << one.answer;
    }
  }
}

TEST(ToolFormat, HalfACallIsContent) {
  for (const Case& one : kCases) {
    const std::string_view answer = one.answer;
    for (std::size_t length = 0; length < answer.size(); ++length) {
      ToolCallSplitter splitter(tool_format_of(one.in_template), false);
      std::string content = splitter.push(answer.substr(0, length));
      const ToolCallSplitter::End end = splitter.finish();
      content += end.content;
      if (end.calls.empty()) {
        EXPECT_EQ(content, answer.substr(0, length));
      }
    }
  }
}

ToolUse use_of(const std::string& rest) {
  return read_tools(ordered_json::parse(R"({"tools": [
      {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "$defs": {"n": {"type": "integer"}},
        "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["a"], "additionalProperties": false}}},
      {"type": "function", "function": {"name": "g"}}])" +
                                        rest + "}"));
}

TEST(ToolFormat, AForcedAnswerIsACallAndNothingElse) {
  const struct {
    const char* in_template;
    const char* choice;
    const char* answer;
    bool valid;
  } cases[] = {
      {"<tool_call>", R"("required")", R"({"name": "f", "arguments": {"a": 1}})", true},
      {"<tool_call>", R"("required")", R"({"name": "f", "arguments": {"a": "x"}})", false},
      {"<tool_call>", R"("required")", R"({"name": "h", "arguments": {}})", false},
      {"<tool_call>", R"("required")", R"({"name": "g", "arguments": {}})", true},
      {"<tool_call>", R"("required")", R"({"name": "g", "arguments": {"any": "thing"}})", false},
      {"<tool_call>", R"({"type": "function", "function": {"name": "f"}})",
       R"({"name": "g", "arguments": {}})", false},
      {"llama", R"("required")", R"({"name": "f", "parameters": {"a": 1}})", true},
      {"[TOOL_CALLS]", R"("required")",
       R"([{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}])", true},
      {"[TOOL_CALLS]", R"("required")", R"([])", false},
  };
  for (const auto& one : cases) {
    const ToolFormat& format = tool_format_of(one.in_template);
    const ToolUse use = use_of(R"(, "tool_choice": )" + std::string(one.choice));
    const auto schema = schema::Schema::compile(forced_call_schema(format, use));
    EXPECT_EQ(schema->validate_text(one.answer).empty(), one.valid) << one.answer;
    ToolCallSplitter splitter(format, true);
    EXPECT_EQ(splitter.push(one.answer), "");
    if (one.valid) {
      EXPECT_FALSE(splitter.finish().calls.empty());
    }
  }
  const ToolUse single = use_of(R"(, "tool_choice": "required", "parallel_tool_calls": false)");
  EXPECT_EQ(forced_call_schema(tool_format_of("[TOOL_CALLS]"), single)["maxItems"], 1);
}

TEST(ToolFormat, GivesOneCallWhereNoMoreAreWanted) {
  ToolCallSplitter splitter(tool_format_of("<tool_call>"), false, false);
  splitter.push(
      R"(<tool_call>{"name":"f","arguments":{}}</tool_call><tool_call>{"name":"g","arguments":{}}</tool_call>)");
  const auto calls = splitter.finish().calls;
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].name, "f");
}

TEST(ToolFormat, ReferencesStayWithinTheirTool) {
  const auto body = ordered_json::parse(R"({"tool_choice": "required", "tools": [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["x"],
      "properties": {"x": {"$ref": "#/$defs/t"}, "next": {"$ref": "#"}, "$ref": {"type": "null"}}, "$defs": {"t": {"type": "string"}}}}},
    {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "required": ["x"],
      "properties": {"x": {"$ref": "#/$defs/t"}, "const": {"$ref": "#/$defs/t"}}, "$defs": {"t": {"type": "integer"}}}}}]})");
  for (const char* in_template : {"llama", "[TOOL_CALLS]"}) {
    const ToolFormat& format = tool_format_of(in_template);
    const auto schema = schema::Schema::compile(forced_call_schema(format, read_tools(body)));
    const auto valid = [&](const std::string& name, const std::string& arguments) {
      std::string call =
          R"({"name": ")" + name + R"(", ")" + std::string(format.arguments_key) + "\": " + arguments + "}";
      if (format.forced_list) call = "[" + call + "]";
      return schema->validate_text(call).empty();
    };
    EXPECT_TRUE(valid("f", R"({"x": "a", "next": {"x": "b"}, "$ref": null})"));
    EXPECT_FALSE(valid("f", R"({"x": 1})"));
    EXPECT_FALSE(valid("f", R"({"x": "a", "next": {"name": "f"}})"));
    EXPECT_TRUE(valid("g", R"({"x": 1, "const": 2})"));
    EXPECT_FALSE(valid("g", R"({"x": "a"})"));
  }
}

TEST(ToolFormat, AnchorsStayWithinTheirTool) {
  const auto body = ordered_json::parse(R"({"tool_choice": "required", "tools": [
    {"type": "function", "function": {"name": "f", "parameters": {"$id": "https://example.org/f", "type": "object",
      "required": ["x"], "properties": {"x": {"$ref": "#t"}}, "$defs": {"a%/": {"$anchor": "t", "type": "string"}}}}},
    {"type": "function", "function": {"name": "g", "parameters": {"$id": "https://example.org/g", "type": "object",
      "required": ["x"], "properties": {"x": {"$ref": "#t"}}, "$defs": {"b": {"$anchor": "t", "type": "integer"}}}}}]})");
  const auto schema = schema::Schema::compile(forced_call_schema(tool_format_of("llama"), read_tools(body)));
  const auto valid = [&](const char* call) { return schema->validate_text(call).empty(); };
  EXPECT_TRUE(valid(R"({"name": "f", "parameters": {"x": "a"}})"));
  EXPECT_FALSE(valid(R"({"name": "f", "parameters": {"x": 1}})"));
  EXPECT_TRUE(valid(R"({"name": "g", "parameters": {"x": 1}})"));
  EXPECT_FALSE(valid(R"({"name": "g", "parameters": {"x": "a"}})"));
}

TEST(ToolFormat, NamesAreNoKeywords) {
  const auto body = ordered_json::parse(R"({"tool_choice": "required", "tools": [
    {"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "object",
      "properties": {"x": {"type": "object", "patternProperties": {"const": {"$ref": "#/$defs/a~1b~0%25"}},
        "additionalProperties": false}, "y": true},
      "dependentSchemas": {"enum": {"$ref": "#/$defs/c"}}, "additionalProperties": true,
      "$defs": {"a/b~%": {"type": "string"}, "c": {"properties": {"y": {"type": "integer"}}}}}}}]})");
  const auto schema = forced_call(tool_format_of("llama"), read_tools(body));
  const auto valid = [&](const std::string& arguments) {
    return schema->validate_text(R"({"name": "f", "parameters": )" + arguments + "}").empty();
  };
  EXPECT_TRUE(valid(R"({"x": {"const": "a"}, "y": "a"})"));
  EXPECT_FALSE(valid(R"({"x": {"const": 1}})"));
  EXPECT_FALSE(valid(R"({"y": "a", "enum": 1})"));
}

TEST(ToolFormat, ASchemaThatCannotBeHeldIsSomeObjects) {
  const auto tools = [](const char* strict) {
    return read_tools(ordered_json::parse(R"({"tool_choice": "required", "tools": [
      {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "minProperties": 7},
        "strict": )" + std::string(strict) +
                                          R"(}},
      {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "required": ["x"]}}},
      {"type": "function", "function": {"name": "h", "parameters": {"type": "string"}}}]})"));
  };
  const ToolFormat& format = tool_format_of("<tool_call>");
  const auto schema = forced_call(format, tools("false"));
  const auto valid = [&](const std::string& call) { return schema->validate_text(call).empty(); };
  EXPECT_TRUE(valid(R"({"name": "f", "arguments": {}})"));
  EXPECT_FALSE(valid(R"({"name": "f", "arguments": 1})"));
  EXPECT_TRUE(valid(R"({"name": "g", "arguments": {"x": 1}})"));
  EXPECT_FALSE(valid(R"({"name": "g", "arguments": {}})")) << "what can be held is";
  EXPECT_TRUE(valid(R"({"name": "h", "arguments": {"a": 1}})")) << "arguments are an object";
  EXPECT_FALSE(valid(R"({"name": "h", "arguments": "a"})"));
  try {
    forced_call(format, tools("true"));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("the strict tool 'f'"), std::string::npos) << error.what();
  }
}

TEST(ToolFormat, CallsAreReadThoughTheyBeganBeforeTheAnswer) {
  struct Case {
    const char *in_template, *written, *answer, *content, *name;
    bool forced;
  };
  const Case cases[] = {
      {"<tool_call>", "So:\n<tool_call>", R"({"name":"f","arguments":{}}</tool_call>)", "", "f", false},
      {"<tool_call>", "So: <tool", R"(_call>{"name":"f","arguments":{}}</tool_call>)", "", "f", false},
      {"<tool_call>", "So: <tool", "box> it is.", "box> it is.", nullptr, false},
      {"<tool_call>", "<tool_call>{\"na", "ming is hard", "ming is hard", nullptr, false},
      {"llama", "Yes", "{\"name\": 1}", "{\"name\": 1}", nullptr, false},
      {"llama", "{\"name\": \"f\"", ", \"parameters\": {}}", "", "f", false},
      {"<tool_call>", "{\"name\": \"f\"", ", \"arguments\": {}}", "", "f", true},
  };
  for (const Case& one : cases) {
    ToolCallSplitter splitter(tool_format_of(one.in_template), one.forced);
    splitter.go_on_from(one.written);
    std::string content;
    for (const char c : std::string_view(one.answer)) content += splitter.push(std::string(1, c));
    const auto end = splitter.finish();
    EXPECT_EQ(content + end.content, one.content) << one.written;
    ASSERT_EQ(end.calls.size(), one.name == nullptr ? 0U : 1U) << one.written;
    if (one.name != nullptr) {
      EXPECT_EQ(end.calls[0].name, one.name);
    }
  }
}

TEST(ToolFormat, AForcedCallGoesOnFromWhatHasBegunOfIt) {
  struct Case {
    const char *in_template, *written, *begun;
  };
  const Case cases[] = {{"<tool_call>", "", nullptr},
                        {"<tool_call>", "Let me look.", nullptr},
                        {"<tool_call>", "So: <tool_call>\n{\"na", "\n{\"na"},
                        {"<tool_call>", " {\"na", " {\"na"},
                        {"[TOOL_CALLS]", "[TOOL_CALLS] [{", " [{"},
                        {"llama", "Yes {", nullptr},
                        {"llama", "{\"na", "{\"na"}};
  for (const Case& one : cases) {
    const auto begun = begun_call(tool_format_of(one.in_template), one.written);
    ASSERT_EQ(begun.has_value(), one.begun != nullptr) << one.written;
    if (begun) {
      EXPECT_EQ(*begun, one.begun);
    }
  }
}

TEST(Tools, AreReadAndRefusedByName) {
  EXPECT_EQ(use_of("").choice, ToolUse::Choice::kAuto);
  EXPECT_EQ(use_of("").tools.size(), 2U);
  EXPECT_EQ(use_of(R"(, "tool_choice": "none")").choice, ToolUse::Choice::kNone);
  EXPECT_TRUE(use_of(R"(, "tool_choice": "none")").declared.is_null());
  const ToolUse named = use_of(R"(, "tool_choice": {"type": "function", "function": {"name": "g"}})");
  EXPECT_TRUE(named.named);
  EXPECT_EQ(named.tools.size(), 1U);
  EXPECT_EQ(named.declared.size(), 2U);
  EXPECT_EQ(read_tools(ordered_json::object()).choice, ToolUse::Choice::kNone);
  for (
      const char* body :
      {R"({"tools": 3})", R"({"tools": [3]})", R"({"tools": [{"type": 1, "function": {"name": "f"}}]})",
       R"({"tools": [{"type": "retrieval"}]})", R"({"tools": [{"type": "function", "function": {}}]})",
       R"({"tools": [{"type": "function", "function": {"name": "f", "parameters": 3}}]})",
       R"({"tool_choice": "required"})",
       R"({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "sometimes"})",
       R"({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"function": {"name": "g"}}})"})
    EXPECT_THROW(read_tools(ordered_json::parse(body)), ApiError) << body;
}

}  // namespace
}  // namespace stepdown::server
