#include "operator/gateway/judge/stream_judge.h"

#include <nlohmann/json.hpp>

#include "operator/gateway/judge/member.h"
namespace stepdown::gateway {
using nlohmann::json;

StreamJudge::StreamJudge(const Expectation& expected, std::string_view prefix, bool of_fp16)
    : chat_(expected.chat),
      of_fp16_(of_fp16),
      language_(expected.language),
      written_(expected.written),
      form_(expected.language) {
  form_.accept(expected.written);
  form_.accept(prefix);
  loops_.add(prefix);
  accepted_ = prefix;
}

Fault StreamJudge::add(const json& chunk) {
  if (!chunk.is_object()) return Fault::kMalformed;
  if (chunk.contains("error")) return fault_of_error(chunk);
  const json& mean_logprob = member(member(chunk, "stepdown"), "mean_logprob");
  if (mean_logprob.is_number()) mean_logprob_ = mean_logprob.get<double>();
  const json& choices = member(chunk, "choices");
  if (!choices.is_array() || choices.empty()) return Fault::kNone;  // a usage chunk
  const json& choice = choices.front();
  const json& finish = member(choice, "finish_reason");
  if (finish.is_string()) finish_reason_ = finish.get<std::string>();
  const json& delta = member(choice, "delta");
  const bool calls = member(delta, "tool_calls").is_array() || member(delta, "function_call").is_object();
  const bool more = says_more(delta);
  tool_calls_ = tool_calls_ || calls;
  more_ = more_ || more;
  content_chunks_ += calls || more ? 1 : 0;
  const json& text = chat_ ? member(delta, "content") : member(choice, "text");
  return text.is_string() ? add_text(text.get_ref<const std::string&>()) : Fault::kNone;
}

Fault StreamJudge::add_text(std::string_view text) {
  if (text.empty()) return Fault::kNone;
  if (!of_fp16_ && !form_.accept(text)) return Fault::kSchema;
  ++content_chunks_;
  accepted_ += text;
  return loops_.add(text) ? Fault::kLooping : Fault::kNone;
}

Fault StreamJudge::finish(const Calibration& control) const {
  if (!finished()) return Fault::kConnection;
  if (tool_calls_) return Fault::kNone;
  if (!more_ && accepted_.find_first_not_of(" \t\r\n") == std::string::npos) return Fault::kEmpty;
  if (!objection(language_, written_ + accepted_).empty())
    return finish_reason_ == "length" ? Fault::kTruncated : Fault::kSchema;
  if (loops_.looping()) return Fault::kLooping;
  return control.collapsed(mean_logprob_) ? Fault::kCollapse : Fault::kNone;
}

}  // namespace stepdown::gateway
