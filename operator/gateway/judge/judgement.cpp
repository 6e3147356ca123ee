#include "operator/gateway/judge/judgement.h"

#include <nlohmann/json.hpp>

#include "operator/gateway/judge/form_watch.h"
#include "operator/gateway/judge/loop_detector.h"
#include "operator/gateway/judge/member.h"

namespace stepdown::gateway {
namespace {

using nlohmann::json;

struct Choice {
  std::string text;
  bool tool_calls = false;
  bool more = false;  ///< said something beside its text
  std::string finish;
};

Choice read_choice(const json& choice, bool chat) {
  Choice read;
  const json& message = member(choice, "message");
  const json& text = chat ? member(message, "content") : member(choice, "text");
  if (text.is_string()) read.text = text.get<std::string>();
  const json& calls = member(message, "tool_calls");
  read.tool_calls = (calls.is_array() && !calls.empty()) || member(message, "function_call").is_object();
  read.more = says_more(message);
  const json& finish = member(choice, "finish_reason");
  if (finish.is_string()) read.finish = finish.get<std::string>();
  return read;
}

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

Fault judge_choice(const Choice& choice, const Expectation& expected, std::string& detail) {
  if (choice.finish.empty()) {
    detail = "a choice without finish_reason";
    return Fault::kMalformed;
  }
  if (choice.tool_calls) return Fault::kNone;
  if (blank(choice.text) && !choice.more) return Fault::kEmpty;
  LoopDetector loops;
  if (loops.add(choice.text)) return Fault::kLooping;
  detail = objection(expected.language, expected.written + choice.text);
  if (detail.empty()) return Fault::kNone;
  return choice.finish == "length" ? Fault::kTruncated : Fault::kSchema;
}

}  // namespace

bool says_more(const json& message) {
  for (const char* name : {"reasoning_content", "reasoning", "refusal"}) {
    const json& text = member(message, name);
    if (text.is_string() && !text.get_ref<const std::string&>().empty()) return true;
  }
  return false;
}

Fault fault_of_error(const json& body) {
  return member(member(body, "error"), "code") == "nonfinite_logits" ? Fault::kNonFinite
                                                                     : Fault::kServerError;
}

Judgement judge_answer(int status, std::string_view body, const Expectation& expected,
                       const Calibration& control) {
  Judgement judgement;
  judgement.status = status;
  const json document = nests_too_deep(body) ? json() : json::parse(body, nullptr, false);
  if (status >= 500) {
    judgement.fault = fault_of_error(document);
    judgement.detail = "HTTP " + std::to_string(status);
    return judgement;
  }
  if (status >= 300) return judgement;
  const json& choices = member(document, "choices");
  if (!choices.is_array() || choices.empty()) {
    judgement.fault = Fault::kMalformed;
    judgement.detail = "no choices in the answer";
    return judgement;
  }
  const json& mean_logprob = member(member(document, "stepdown"), "mean_logprob");
  if (mean_logprob.is_number()) judgement.mean_logprob = mean_logprob.get<double>();
  for (const json& item : choices) {
    const Choice choice = read_choice(item, expected.chat);
    if (&item == &choices.front()) judgement.text = choice.text;
    judgement.fault = judge_choice(choice, expected, judgement.detail);
    if (judgement.fault != Fault::kNone) return judgement;
  }
  if (!std::isnan(judgement.mean_logprob) && control.collapsed(judgement.mean_logprob)) {
    judgement.fault = Fault::kCollapse;
    judgement.detail = "mean log-probability " + std::to_string(judgement.mean_logprob) + ", FP16's " +
                       std::to_string(control.mean());
  }
  return judgement;
}

}  // namespace stepdown::gateway
