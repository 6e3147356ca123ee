#include "engine/base/error.h"
#include "engine/eval/suite.h"

namespace stepdown::eval {
namespace {

/// The first JSON object in a text that names a tool: bare, in a fence, or between <tool_call> tags.
std::optional<nlohmann::json> called(const std::string& text) {
  for (std::size_t open = text.find('{'); open != std::string::npos; open = text.find('{', open + 1)) {
    for (std::size_t close = text.rfind('}'); close != std::string::npos && close > open;
         close = close == 0 ? std::string::npos : text.rfind('}', close - 1)) {
      auto json =
          nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(open),
                                text.begin() + static_cast<std::ptrdiff_t>(close) + 1, nullptr, false);
      if (json.is_object() && json.contains("name")) return json;
      if (json.is_object()) break;
    }
  }
  return std::nullopt;
}

/// toolCall: where `expected` is {"name", "arguments"}, the answer calls that tool with those arguments.
class ToolCallSuite : public Suite {
 public:
  void score(const Sample& sample, const Answers& answers, Scores& scores) const override {
    if (!sample.expected || !sample.expected->is_object() || !sample.expected->contains("name")) return;
    const nlohmann::json expected = *sample.expected;
    const auto call = called(answers.served().text);
    if (!call) {
      scores["toolCall"] = 0.0;
      return;
    }
    nlohmann::json arguments =
        call->contains("arguments") ? (*call)["arguments"] : call->value("parameters", nlohmann::json());
    if (arguments.is_string())
      arguments = nlohmann::json::parse(arguments.get<std::string>(), nullptr, false);
    scores["toolCall"] =
        (*call)["name"] == expected["name"] && arguments == expected.value("arguments", nlohmann::json())
            ? 1.0
            : 0.0;
  }
};

}  // namespace

std::unique_ptr<Suite> make_tool_call_suite(const nlohmann::json& /*config*/, const std::string& /*where*/) {
  return std::make_unique<ToolCallSuite>();
}

}  // namespace stepdown::eval
